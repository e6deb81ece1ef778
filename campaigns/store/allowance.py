"""The allowance: one row by which all workers keep within what SES allows.

Who holds its lock may grant; so the postings of several workers are committed one group
after the other, and limits are exact however many there are.
"""

from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from campaigns.rules.pacing import Allowance
from campaigns.store.tables.operations import AllowanceRow
from campaigns.store.upserts import insert_new

_ALLOWANCE: Final = TypeAdapter(Allowance)


_LOCKED: Final = select(AllowanceRow.kept).with_for_update()
_KEPT: Final = update(AllowanceRow).values(kept=bindparam("new"))


def read(session: Session) -> Allowance:
    """Return the allowance as it is known now."""
    kept = session.scalar(select(AllowanceRow.kept))
    return Allowance() if kept is None else _ALLOWANCE.validate_python(kept)


def lock(session: Session) -> Allowance:
    """Return the allowance, and keep others from it until the transaction ends."""
    connection = session.connection()
    kept = connection.scalar(_LOCKED)
    if kept is None:
        insert_new(session, AllowanceRow, {"id": 1, "kept": _plain(Allowance())})
        kept = connection.scalar(_LOCKED)
    return _ALLOWANCE.validate_python(kept)


def keep(session: Session, allowance: Allowance) -> None:
    """Keep the allowance, whose lock is ours."""
    session.connection().execute(_KEPT, {"new": _plain(allowance)})


def _plain(allowance: Allowance) -> dict[str, object]:
    return _ALLOWANCE.dump_python(allowance, mode="json")  # type: ignore[no-any-return]
