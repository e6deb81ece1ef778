"""The gate's order: a no is committed before an attempt is, or after; never beside it.

An attempt is committed once nothing forbids it. On SQLite one transaction writes at a
time, so what was read still holds at the commit. On PostgreSQL two would not see each
other: there the sender shares a lock that who adds a no must have alone.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from campaigns.store import changes

_KEY: Final = 0x6761746500  # "gate" in ASCII
_SHARED: Final = text("SELECT pg_advisory_xact_lock_shared(:key)")
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)")


def before_posting(session: Session) -> None:
    """Let nobody add a no until this transaction ends; what is read now holds."""
    if _is_postgresql(session):
        session.execute(_SHARED, {"key": _KEY})


def before_a_no(session: Session) -> None:
    """Wait for attempts that are being committed; those begun later see the no."""
    close(session)
    changes.note(session)


def close(session: Session) -> None:
    """Let nobody post or say no until this transaction ends."""
    if _is_postgresql(session):
        session.execute(_ALONE, {"key": _KEY})


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
