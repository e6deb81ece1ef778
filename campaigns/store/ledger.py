"""The ledger, read as a whole: what a check of its promises needs to know."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.domain.words import MessageState
from campaigns.store.tables.delivery import (
    AttemptRow,
    EventRow,
    MessageRow,
    SnoozeRow,
    SuppressionRow,
)
from campaigns.store.tables.programme import EnrolmentRow, EpisodeRow


class Line(NamedTuple):
    """A planned mail and what became of it."""

    message: int
    account: str
    step: int
    arm: str
    state: MessageState
    reason: str | None
    attempts: int


class Attempt(NamedTuple):
    """A committed attempt: from here on its mail may be out."""

    id: int
    message: int
    account: str
    address_hash: str


class Noes(NamedTuple):
    """What forbids to write.

    Attributes:
        suppressed: Addresses, by their hash, for good.
        resting: Addresses, and until when.
        returned: Accounts that came back.
    """

    suppressed: frozenset[str]
    resting: Mapping[str, datetime]
    returned: frozenset[str]


def lines(session: Session) -> list[Line]:
    """Return all planned mails, in order."""
    attempts = (
        select(AttemptRow.message, func.count().label("count"))
        .group_by(AttemptRow.message)
        .subquery()
    )
    query = (
        select(
            MessageRow.id,
            EnrolmentRow.account,
            MessageRow.step,
            EnrolmentRow.arm,
            MessageRow.state,
            MessageRow.reason,
            func.coalesce(attempts.c.count, 0),
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .outerjoin(attempts, attempts.c.message == MessageRow.id)
        .order_by(MessageRow.id)
    )
    return [
        Line(id_, account, step, arm, MessageState(state), reason, count)
        for id_, account, step, arm, state, reason, count in session.execute(query)
    ]


def attempts_after(session: Session, attempt: int) -> list[Attempt]:
    """Return the attempts that were committed after one."""
    query = (
        select(
            AttemptRow.id,
            AttemptRow.message,
            EnrolmentRow.account,
            MessageRow.address_hash,
        )
        .join(MessageRow, MessageRow.id == AttemptRow.message)
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .where(AttemptRow.id > attempt)
        .order_by(AttemptRow.id)
    )
    return [Attempt(*row) for row in session.execute(query)]


def noes(session: Session) -> Noes:
    """Return what forbids to write as things stand."""
    returned = select(EpisodeRow.account).where(EpisodeRow.returned_at.is_not(None))
    resting = session.execute(select(SnoozeRow.address_hash, SnoozeRow.until))
    return Noes(
        frozenset(session.scalars(select(SuppressionRow.address_hash))),
        dict(resting.all()),
        frozenset(session.scalars(returned)),
    )


def kept_events(session: Session) -> set[str]:
    """Return the natural keys of all events that were kept."""
    return set(session.scalars(select(EventRow.natural_key)))
