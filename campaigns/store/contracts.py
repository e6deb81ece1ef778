"""Contracts that run again under their id: what ended before stays on record."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import inspect, or_, select, update
from sqlalchemy.orm import Session

from campaigns.domain.records import Subscription
from campaigns.store.records import chunks
from campaigns.store.tables.records import SubscriptionRow
from campaigns.store.upserts import insert_all

_LONGEST_ID: Final = 170


def set_aside(
    session: Session, contracts: Sequence[Subscription], *, now: datetime
) -> None:
    """Keep the past of contracts that are about to be replaced by ones that pay again.

    Some billing systems take back the end of a contract when a customer returns, or
    let a free plan become a paid one. Only the import shows it, so `now` is taken for
    the moment of it. What was before becomes a contract of its own.

    Args:
        session: The database.
        contracts: As they come from a file, before they are stored.
        now: The moment of the import.
    """
    paying = {each.id: each for each in contracts if _pays(each, now)}
    past = [
        row
        for row in _rows(session, paying)
        # A file that tells of a later start tells of the return itself.
        if not _pays(row, now) and paying[row.id].started_at <= (row.ended_at or now)
    ]
    insert_all(session, SubscriptionRow, [_past(row, now) for row in past])
    for row in past:
        row.resumed_at = now
    session.flush()


def resume(session: Session, ids: Collection[str]) -> None:
    """Let contracts that run again begin when they were seen to do so.

    To be called after they were stored. One whose new end lies before that moment
    keeps its first start.
    """
    resumed, ends = SubscriptionRow.resumed_at, SubscriptionRow.ended_at
    for piece in chunks(sorted(ids)):
        session.execute(
            update(SubscriptionRow)
            .where(
                SubscriptionRow.id.in_(piece),
                resumed > SubscriptionRow.started_at,
                or_(ends.is_(None), ends >= resumed),
            )
            .values(started_at=resumed)
        )


def _pays(contract: Subscription | SubscriptionRow, now: datetime) -> bool:
    runs = contract.ended_at is None or contract.ended_at > now
    return runs and not contract.plan_is_free


def _rows(session: Session, ids: Collection[str]) -> list[SubscriptionRow]:
    return [
        row
        for piece in chunks(sorted(ids))
        for row in session.scalars(
            select(SubscriptionRow).where(SubscriptionRow.id.in_(piece))
        )
    ]


def _past(row: SubscriptionRow, now: datetime) -> dict[str, Any]:
    """Return the values of what a contract was until it ended, or else until now."""
    columns = inspect(SubscriptionRow).column_attrs.keys()
    ended_at = row.ended_at or now
    return {name: getattr(row, name) for name in columns} | {
        "id": f"{row.id[:_LONGEST_ID]} until {ended_at:%Y-%m-%d %H:%M}",
        "ended_at": ended_at,
        "resumed_at": None,
        "content_hash": "",
    }
