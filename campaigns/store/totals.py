"""What SES's events say in total, day by day, and where the ledger disagrees."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import SQLCoreOperations

from campaigns.domain.values import Mismatched
from campaigns.domain.words import (
    Bounce,
    EventKind,
    MessageState,
    Mismatch,
    SesTotal,
)
from campaigns.store.tables.delivery import EventRow, MessageRow

_DAY: Final = timedelta(days=1)
_UNCOUNTED: Final = ("@simulator.amazonses.com", "OnAccountSuppressionList")
"""What SES leaves out of its totals; the names are not found in other mails' events."""
_TOTAL_OF: Final = {
    (EventKind.SEND, None): SesTotal.SEND,
    (EventKind.DELIVERY, None): SesTotal.DELIVERY,
    (EventKind.BOUNCE, Bounce.HARD): SesTotal.PERMANENT_BOUNCE,
    (
        EventKind.BOUNCE,
        Bounce.ON_SES_LIST,
    ): SesTotal.PERMANENT_BOUNCE,  # on Amazon's own
    (EventKind.BOUNCE, Bounce.SOFT): SesTotal.TRANSIENT_BOUNCE,
    (EventKind.COMPLAINT, None): SesTotal.COMPLAINT,
}


def by_day(
    session: Session, *, start: date, end: date
) -> dict[tuple[date, SesTotal], int]:
    """Return how many events of each kind happened on each day (UTC) before `end`.

    Counted is what SES counts, of whoever sends through the configuration set.
    """
    days = [start + number * _DAY for number in range((end - start).days)]
    number = case(
        *((EventRow.at < _midnight(day + _DAY), i) for i, day in enumerate(days))
    )
    query = (
        select(number, EventRow.kind, EventRow.bounce, func.count())
        .where(
            *_within(EventRow.at, start, end),
            *(~EventRow.raw.contains(text, autoescape=True) for text in _UNCOUNTED),
        )
        .group_by(number, EventRow.kind, EventRow.bounce)
    )
    counts: Counter[tuple[date, SesTotal]] = Counter()
    for i, kind, bounce, count in session.execute(query):
        if (total := _TOTAL_OF.get((kind, bounce))) is not None:
            counts[days[i], total] += count
    return dict(counts)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _within(
    column: SQLCoreOperations[Any], start: date, end: date
) -> tuple[ColumnElement[bool], ...]:
    return column >= _midnight(start), column < _midnight(end)


def mismatched(session: Session, *, start: date, end: date) -> list[Mismatched]:
    """Return the messages, posted or taken within some days, that do not add up.

    One that SES took while we have no time of posting it is found by SES's time.
    """
    row, is_send = MessageRow, EventRow.kind == EventKind.SEND
    sends = (
        select(
            EventRow.message,
            func.count().label("sends"),
            func.min(EventRow.at).label("first_at"),
        )
        .where(is_send, EventRow.message.is_not(None))
        .group_by(EventRow.message)
        .subquery()
    )
    count = func.coalesce(sends.c.sends, 0)
    accepted = row.state == MessageState.ACCEPTED
    doubt = row.state.in_(
        (MessageState.POSTING, MessageState.UNKNOWN, MessageState.HELD)
    )
    mismatch = case(
        (count > 1, Mismatch.TAKEN_AGAIN),
        (and_(accepted, count == 0), Mismatch.NO_SEND_EVENT),
        (and_(~accepted, count > 0), Mismatch.NOT_ACCEPTED),
        (doubt, Mismatch.IN_DOUBT),
    )
    at = func.coalesce(row.posted_at, sends.c.first_at)
    query = (
        select(row.id, row.campaign, mismatch, row.state, at)
        .outerjoin(sends, sends.c.message == row.id)
        .where(*_within(at, start, end), mismatch.is_not(None))
        .order_by(at, row.id)
    )
    return [
        Mismatched(id_, campaign, Mismatch(what), MessageState(state), posted_at)
        for id_, campaign, what, state, posted_at in session.execute(query)
    ]
