"""What features are made from, as tables: a million accounts take no list of dicts."""

from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from campaigns.store.tables.records import (
    AccountRow,
    NpsRow,
    SubscriptionRow,
    TicketRow,
)

_AT_ONCE: Final = 50_000
_MOMENT: Final = pl.Datetime("us", "UTC")
_ACCOUNTS: Final[dict[str, Any]] = {"id": pl.String, "created_at": _MOMENT}
_SUBSCRIPTIONS: Final[dict[str, Any]] = {
    "account": pl.String,
    "plan_is_free": pl.Boolean,
    "seats": pl.Int64,
    "mrr_minor": pl.Int64,
    "discount_minor": pl.Int64,
    "started_at": _MOMENT,
    "ended_at": _MOMENT,
    "end_reason": pl.String,
}
_TICKETS: Final[dict[str, Any]] = {"account": pl.String, "opened_at": _MOMENT}
_NPS: Final[dict[str, Any]] = {"account": pl.String, "at": _MOMENT, "score": pl.Int64}


def accounts(session: Session) -> pl.DataFrame:
    """Return id and creation time of every account, ordered by id."""
    query = _columns(AccountRow, _ACCOUNTS).order_by(AccountRow.id)
    return _table(session, query, _ACCOUNTS)


def subscriptions(session: Session, *, before: datetime) -> pl.DataFrame:
    """Return every subscription begun before a moment."""
    query = (
        _columns(SubscriptionRow, _SUBSCRIPTIONS)
        .where(SubscriptionRow.started_at < before)
        .order_by(SubscriptionRow.account, SubscriptionRow.started_at)
    )
    return _table(session, query, _SUBSCRIPTIONS)


def tickets(session: Session, *, before: datetime) -> pl.DataFrame:
    """Return account and time of every ticket opened before a moment."""
    query = _columns(TicketRow, _TICKETS).where(TicketRow.opened_at < before)
    return _table(session, query, _TICKETS)


def nps(session: Session, *, before: datetime) -> pl.DataFrame:
    """Return account, time and score of every NPS answer before a moment."""
    return _table(session, _columns(NpsRow, _NPS).where(NpsRow.at < before), _NPS)


def _columns(row: Any, schema: dict[str, Any]) -> Select[Any]:  # noqa: ANN401
    return select(*(getattr(row, name) for name in schema))


def _table(
    session: Session, query: Select[Any], schema: dict[str, Any]
) -> pl.DataFrame:
    found = session.execute(query.execution_options(yield_per=_AT_ONCE))
    pieces = [
        pl.DataFrame([tuple(each) for each in some], schema=schema, orient="row")
        for some in found.partitions()
    ]
    return pl.concat(pieces) if pieces else pl.DataFrame(schema=schema)
