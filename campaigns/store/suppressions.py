"""Addresses that may not be written to: suppressed for good, or at rest for a time.

Nothing here ever lifts a suppression.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.domain.values import Recipient
from campaigns.domain.words import SuppressionReason
from campaigns.errors import NotFoundError
from campaigns.store import gate
from campaigns.store.tables.delivery import MessageRow, SnoozeRow, SuppressionRow
from campaigns.store.upserts import insert_new, upsert


def suppress(
    session: Session,
    address_hash: str,
    reason: SuppressionReason,
    *,
    now: datetime,
    message: int | None = None,
) -> bool:
    """Suppress an address; say whether it was not suppressed before."""
    gate.before_a_no(session)
    return insert_new(
        session,
        SuppressionRow,
        {"address_hash": address_hash, "reason": reason, "at": now, "message": message},
    )


def is_suppressed(session: Session, address_hash: str) -> bool:
    """Say whether an address may not be written to."""
    return session.get(SuppressionRow, address_hash) is not None


def add(
    session: Session,
    new: Mapping[str, tuple[SuppressionReason, datetime]],
) -> int:
    """Suppress many addresses; return how many were not suppressed before.

    What is known of one already stays: the list only grows.
    """
    added = 0
    for address_hash, (reason, at) in new.items():
        added += suppress(session, address_hash, reason, now=at)
    return added


def suppress_recipient(
    session: Session, to: Recipient, reason: SuppressionReason, *, now: datetime
) -> bool:
    """Suppress the address that a mail went to; say whether it was not before.

    Raises:
        NotFoundError: Neither the message nor the address is known.
    """
    address_hash, message = _known(session, to)
    return suppress(session, address_hash, reason, now=now, message=message)


def _known(session: Session, to: Recipient) -> tuple[str, int | None]:
    """Return the address that a mail went to, and its message, if that is here."""
    query = select(MessageRow.address_hash).where(MessageRow.id == to.message)
    here = session.scalar(query)
    if to.address_hash is not None:
        return to.address_hash, to.message if here == to.address_hash else None
    if here is None:
        raise NotFoundError(f"there is no message {to.message}")
    return here, to.message


def snooze_recipient(session: Session, to: Recipient, *, until: datetime) -> None:
    """Let the address that a mail went to rest until a moment.

    Raises:
        NotFoundError: Neither the message nor the address is known.
    """
    gate.before_a_no(session)
    values = [{"address_hash": _known(session, to)[0], "until": until}]
    upsert(session, SnoozeRow, values, key=("address_hash",))


def count_snoozed(session: Session, *, now: datetime) -> int:
    """Return how many addresses rest at a moment."""
    query = select(func.count()).select_from(SnoozeRow).where(SnoozeRow.until > now)
    return session.scalar(query) or 0


def everyone(session: Session) -> list[tuple[str, str, datetime]]:
    """Return keyed hash, reason and time of each, in order of the hash."""
    row = SuppressionRow
    query = select(row.address_hash, row.reason, row.at).order_by(row.address_hash)
    return [(hash_, reason, at) for hash_, reason, at in session.execute(query)]


def counts(session: Session) -> dict[str, int]:
    """Return how many addresses are suppressed, by reason."""
    query = select(SuppressionRow.reason, func.count()).group_by(SuppressionRow.reason)
    return dict(session.execute(query).all())


def unsubscribed(session: Session, campaign: str) -> int:
    """Return how many people unsubscribed by a mail of the campaign."""
    query = (
        select(func.count())
        .select_from(SuppressionRow)
        .join(MessageRow, MessageRow.id == SuppressionRow.message)
        .where(
            MessageRow.campaign == campaign,
            SuppressionRow.reason == SuppressionReason.UNSUBSCRIBED,
        )
    )
    return session.scalar(query) or 0
