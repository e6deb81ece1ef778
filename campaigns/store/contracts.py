"""Contracts that are paid again under their id: what was before stays on record."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session, aliased

from campaigns.domain.records import Subscription
from campaigns.store.records import chunks
from campaigns.store.tables.programme import EpisodeRow
from campaigns.store.tables.records import SubscriptionRow
from campaigns.store.upserts import insert_all


def set_aside(
    session: Session, contracts: Sequence[Subscription], *, now: datetime
) -> None:
    """Keep the past of contracts that accounts which left are to pay again.

    Some billing systems take back the end of a contract when a customer returns, or
    let a free plan become a paid one. Only the import shows it, so `now` is taken for
    the moment of it. What was before becomes a contract of its own. A contract that
    ran on after its account had fallen silent is renewed, and nobody came back.

    Args:
        session: The database.
        contracts: As they come from a file, before they are stored.
        now: The moment of the import.
    """
    paid = {each.id: each for each in contracts if _is_paid_at(now, each)}
    past = [
        _past(row, now)
        for row, churned_at in _of_those_that_left(session, paid)
        if _had_stopped(row, churned_at, now)
        # A file that tells of a later start tells of the return itself.
        and paid[row.id].started_at <= _end(row, now)
    ]
    insert_all(session, SubscriptionRow, past)


def resume(session: Session, ids: Collection[str]) -> None:
    """Let contracts that are paid again begin when that was seen.

    To be called after they were stored. Where a later file takes that back too, or
    tells the true start, it is believed.
    """
    for contract, past in _with_past(session, ids):
        ends = contract.ended_at
        if contract.plan_is_free or (
            ends and past.resumed_at and ends < past.resumed_at
        ):
            session.delete(past)
        elif past.ended_at and past.resumed_at and contract.started_at <= past.ended_at:
            contract.started_at = past.resumed_at
    session.flush()


def _is_paid_at(now: datetime, contract: Subscription) -> bool:
    runs = contract.ended_at is None or contract.ended_at > now
    return runs and not contract.plan_is_free


def _of_those_that_left(
    session: Session, ids: Collection[str]
) -> Iterator[tuple[SubscriptionRow, datetime]]:
    """Yield stored contracts of accounts that left, with when they last did."""
    for piece in chunks(sorted(ids)):
        query = (
            select(SubscriptionRow, func.max(EpisodeRow.churned_at))
            .join(EpisodeRow, EpisodeRow.account == SubscriptionRow.account)
            .where(SubscriptionRow.id.in_(piece))
            .group_by(SubscriptionRow.id)
        )
        yield from ((row, churned_at) for row, churned_at in session.execute(query))


def _had_stopped(row: SubscriptionRow, churned_at: datetime, now: datetime) -> bool:
    if row.plan_is_free:
        return row.started_at <= now
    return row.ended_at is not None and row.ended_at <= churned_at


def _end(row: SubscriptionRow, now: datetime) -> datetime:
    return min(row.ended_at or now, now)


def _past(row: SubscriptionRow, now: datetime) -> dict[str, Any]:
    """Return the values of what a contract was until it ended, or else until now."""
    columns = inspect(SubscriptionRow).column_attrs.keys()
    digest = blake2b(f"{row.id} {now.isoformat()}".encode(), digest_size=12)
    return {name: getattr(row, name) for name in columns} | {
        "id": f"past-{digest.hexdigest()}",
        "ended_at": _end(row, now),
        "resumed_as": row.id,
        "resumed_at": now,
        "content_hash": "",
    }


def _with_past(
    session: Session, ids: Collection[str]
) -> Iterator[tuple[SubscriptionRow, SubscriptionRow]]:
    """Yield contracts that were paid again, each with what it was, oldest first."""
    past = aliased(SubscriptionRow)
    for piece in chunks(sorted(ids)):
        query = (
            select(SubscriptionRow, past)
            .join(past, past.resumed_as == SubscriptionRow.id)
            .where(past.resumed_as.in_(piece))
            .order_by(past.resumed_at)
            # They were stored beside this session's memory.
            .execution_options(populate_existing=True)
        )
        found = session.execute(query).all()
        yield from ((contract, before) for contract, before in found)
