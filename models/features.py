"""What is known of an account as of a date.

Written once, as Narwhals expressions: the same code runs on Polars here and on another
engine where the data outgrew one machine. Nothing at or after the date is read: every
input is cut off first, so rows that come later change no byte of the result.

"Before last use" windows end with the account's last event, not with the date: an
account silent for a year is described by how it worked while it still did.

`usage_features` and `contract_features` hold the expressions; here they are put
together, some accounts at a time where there are many events: so memory stays bounded.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import narwhals as nw
from narwhals.typing import IntoLazyFrame

from models import contract_features, usage_features
from models.definitions import FEATURE_NAMES
from models.usage_features import (
    RECENT_DAYS,
    SECONDS_PER_DAY,
    Frame,
    divided,
    seconds,
)

_EVENTS_AT_ONCE: Final = 10_000_000


class Inputs(NamedTuple):
    """Frames of any engine that Narwhals knows, all lazy.

    Attributes:
        churned: account, churned_at: the accounts that are asked about.
        accounts: id, created_at.
        usage: account, at, feature, contact, count, outcome.
        subscriptions: account, plan_is_free, seats, mrr_minor, discount_minor,
            started_at, ended_at, end_reason.
        tickets: account, opened_at; None where tickets are not known.
        nps: account, at, score; None where answers are not known.
    """

    churned: IntoLazyFrame
    accounts: IntoLazyFrame
    usage: IntoLazyFrame
    subscriptions: IntoLazyFrame
    tickets: IntoLazyFrame | None = None
    nps: IntoLazyFrame | None = None


def features_as_of(
    inputs: Inputs, *, as_of: datetime, events_at_once: int = _EVENTS_AT_ONCE
) -> nw.DataFrame[Any]:
    """Return one row an account and one column a feature, as of a date.

    Args:
        inputs: What is known, later rows included: they are not read.
        as_of: Aware; rows at or after it do not exist for this function.
        events_at_once: Where there are more, accounts are dealt with in shares.

    Returns:
        A frame with the columns `account` and FEATURE_NAMES, ordered by account, with
        null where a number cannot be known (an account without any use, say).
    """
    churned = nw.from_native(inputs.churned).lazy().select("account", "churned_at")
    numbered = usage_features.kept(
        churned.with_row_index("number", order_by="account").with_columns(
            nw.col("number").cast(nw.Int64())
        )
    )
    shares = _shares(inputs, as_of, events_at_once)
    tables = [
        _features_of(inputs, numbered.filter(nw.col("number") % shares == share), as_of)
        for share in range(shares)
    ]
    return nw.concat(tables).sort("account")


def _shares(inputs: Inputs, as_of: datetime, events_at_once: int) -> int:
    usage = nw.from_native(inputs.usage).lazy()
    if not usage.implementation.is_polars():
        return 1
    read = usage.filter(nw.col("at") < as_of).select(nw.len())
    events = int(read.collect(engine="streaming").item())
    return max(1, -(-events // events_at_once))


def _features_of(inputs: Inputs, churned: Frame, as_of: datetime) -> nw.DataFrame[Any]:
    numbers = churned.select("account", "number")
    usage = nw.from_native(inputs.usage).lazy()
    events = usage_features.events_of(usage, numbers, as_of=as_of)
    table = churned
    for part in (
        events.span,
        usage_features.rhythm(events),
        usage_features.gaps(events),
        usage_features.by_feature(events),
        usage_features.by_person(events),
    ):
        table = table.join(part, on="number", how="left")
    for part in _by_account(inputs, numbers, events, as_of):
        table = table.join(part, on="account", how="left")
    return _finished(_with_unknown(table), inputs, as_of)


def _with_unknown(table: Frame) -> Frame:
    """Add the columns of what is not known at all."""
    known = table.collect_schema().names()
    for name in ("tickets_90d", "last_ticket", "nps"):
        if name not in known:
            table = table.with_columns(nw.lit(None, dtype=nw.Float64()).alias(name))
    return table


def _by_account(
    inputs: Inputs, churned: Frame, events: usage_features.Events, as_of: datetime
) -> list[Frame]:
    """Return what is known beside the events, one frame a kind of record."""
    created = (
        nw.from_native(inputs.accounts)
        .lazy()
        .filter(nw.col("created_at") < as_of)
        .select(account=nw.col("id"), created=seconds(nw.col("created_at")))
    )
    subscriptions = nw.from_native(inputs.subscriptions).lazy()
    parts = [created, contract_features.contract(subscriptions, as_of=as_of)]
    if inputs.tickets is not None:
        rows = nw.from_native(inputs.tickets).lazy()
        last_use = events.span.join(churned, on="number").select("account", "last")
        parts.append(contract_features.tickets(rows, last_use, as_of=as_of))
    if inputs.nps is not None:
        rows = nw.from_native(inputs.nps).lazy()
        parts.append(contract_features.answers(rows, as_of=as_of))
    return parts


def _finished(table: Frame, inputs: Inputs, as_of: datetime) -> nw.DataFrame[Any]:
    """Add what compares with the date, and order the columns."""
    date = int(as_of.timestamp())
    began = nw.min_horizontal("created", "first", "contract_began")
    nothing_tried = ["integration_attempts", "integration_failure_rate"]
    if inputs.tickets is not None:
        nothing_tried.append("tickets_90d")
    gaps = nw.col("active_days") - 1
    was_used = ~nw.col("last").is_null()
    table = table.with_columns(
        *(
            nw.when(was_used).then(nw.col(name).fill_null(0)).alias(name)
            for name in nothing_tried
        ),
        days_since_last_use=_days(date - nw.col("last")),
        days_since_churn=_days(date - seconds(nw.col("churned_at"))),
        days_since_last_ticket=_days(date - nw.col("last_ticket")),
        days_to_onboarding_step=nw.col("step_day") - nw.col("first_day"),
        usual_gap=nw.when(gaps > 0).then(
            (nw.col("last_day") - nw.col("first_day")) / gaps
        ),
        seat_use=nw.when(nw.col("seats") > 0).then(
            nw.col("active_users_90d") / nw.col("seats")
        ),
        tenure=_days(nw.col("last") - began),
    ).with_columns(
        silence_against_rhythm=nw.col("days_since_last_use")
        / nw.max_horizontal(nw.col("usual_gap"), nw.lit(1.0))
    )
    columns = [nw.col(name).cast(nw.Float64()) for name in FEATURE_NAMES]
    return table.select("account", *columns).collect()


def _days(span: nw.Expr) -> nw.Expr:
    return divided(span, SECONDS_PER_DAY)


def used_features(inputs: Inputs, *, as_of: datetime) -> nw.DataFrame[Any]:
    """Return what each account worked with in the 90 days before its last use.

    Returns:
        A frame with the columns account, feature, events, failures and last_used_at (of
        the account), ordered by account, most used feature first.
    """
    churned = nw.from_native(inputs.churned).lazy()
    usage = nw.from_native(inputs.usage).lazy()
    failed = nw.when(nw.col("outcome") == "failed").then(nw.col("count")).otherwise(0)
    events = (
        usage.select("account", "at", "feature", "count", "outcome")
        .filter(nw.col("at") < as_of)
        .join(churned.select("account"), on="account")
    )
    last = events.group_by("account").agg(last_used_at=nw.col("at").max())
    day, last_day = (
        seconds(nw.col(c)) // SECONDS_PER_DAY for c in ("at", "last_used_at")
    )
    return (
        events.join(last, on="account")
        .filter(last_day - day < RECENT_DAYS)
        .with_columns(failures=failed)
        .group_by("account", "feature")
        .agg(
            events=nw.col("count").sum(),
            failures=nw.col("failures").sum(),
            last_used_at=nw.col("last_used_at").max(),
        )
        .sort("account", "events", "feature", descending=[False, True, False])
        .collect()
    )
