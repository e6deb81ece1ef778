"""What is known of an account as of a date.

Written once, as Narwhals expressions: the same code runs on Polars here and on another
engine where the data outgrew one machine. Nothing at or after the date is read: every
input is cut off first, so rows that come later change no byte of the result.

"Before last use" windows end with the account's last event, not with the date: an
account silent for a year is described by how it worked while it still did.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import narwhals as nw
from narwhals.typing import IntoLazyFrame

from models.definitions import FEATURE_NAMES, INTEGRATION_PREFIX, WEEKS, WINDOWS_DAYS

_SECONDS_PER_DAY: Final = 86_400
_DAYS_PER_WEEK: Final = 7
_SQUARES: Final = sum((week - (WEEKS - 1) / 2) ** 2 for week in range(WEEKS))
_PRICE_WORDS: Final = "(?i)price|pricing|cost|expensive|budget"


class Inputs(NamedTuple):
    """Frames of any engine that Narwhals knows, all lazy.

    Attributes:
        churned: account, churned_at: the accounts that are asked about.
        accounts: id, created_at.
        usage: account, at, feature, contact, count, outcome.
        subscriptions: account, plan_is_free, seats, mrr_minor, started_at, ended_at,
            end_reason.
    """

    churned: IntoLazyFrame
    accounts: IntoLazyFrame
    usage: IntoLazyFrame
    subscriptions: IntoLazyFrame


Frame = nw.LazyFrame[Any]


def features_as_of(inputs: Inputs, *, as_of: datetime) -> nw.DataFrame[Any]:
    """Return one row an account and one column a feature, as of a date.

    Args:
        inputs: What is known, later rows included: they are not read.
        as_of: Aware; rows at or after it do not exist for this function.

    Returns:
        A frame with the columns `account` and FEATURE_NAMES, ordered by account, with
        null where a number cannot be known (an account without any use, say).
    """
    churned = nw.from_native(inputs.churned).lazy()
    events = _recent_events(inputs, as_of)
    subscriptions = nw.from_native(inputs.subscriptions).lazy()
    subscriptions = subscriptions.filter(nw.col("started_at") < as_of)
    created = (
        nw.from_native(inputs.accounts)
        .lazy()
        .filter(nw.col("created_at") < as_of)
        .select(account=nw.col("id"), created_at=nw.col("created_at"))
    )
    table = churned.select("account", "churned_at")
    for part in (
        _rhythm(events),
        _breadth(events),
        _integrations(events),
        _people(events),
        _contract(subscriptions, as_of),
        created,
    ):
        table = table.join(part, on="account", how="left")
    return _finished(table, as_of)


def used_features(inputs: Inputs, *, as_of: datetime) -> nw.DataFrame[Any]:
    """Return what each account worked with in the 90 days before its last use.

    Returns:
        A frame with the columns account, feature, events, failures and last_used_at (of
        the account), ordered by account, most used feature first.
    """
    events = _recent_events(inputs, as_of).filter(
        nw.col("days_before") < WINDOWS_DAYS[-1]
    )
    failed = nw.when(nw.col("outcome") == "failed").then(nw.col("count")).otherwise(0)
    return (
        events.with_columns(failures=failed)
        .group_by("account", "feature")
        .agg(
            events=nw.col("count").sum(),
            failures=nw.col("failures").sum(),
            last_used_at=nw.col("last_used_at").max(),
        )
        .sort("account", "events", "feature", descending=[False, True, False])
        .collect()
    )


def _days(span: nw.Expr) -> nw.Expr:
    return span.dt.total_seconds() / _SECONDS_PER_DAY


def _recent_events(inputs: Inputs, as_of: datetime) -> Frame:
    """Return the events before the date, each with its distance from the last one."""
    churned = nw.from_native(inputs.churned).lazy()
    usage = nw.from_native(inputs.usage).lazy()
    events = usage.select(
        "account", "at", "feature", "contact", "count", "outcome"
    ).filter(nw.col("at") < as_of)
    events = events.join(churned.select("account"), on="account")
    span = events.group_by("account").agg(
        first_used_at=nw.col("at").min(), last_used_at=nw.col("at").max()
    )
    day = nw.col("at").dt.truncate("1d")
    last_day = nw.col("last_used_at").dt.truncate("1d")
    seconds = (last_day - day).dt.total_seconds()
    return events.join(span, on="account").with_columns(
        day=day, days_before=seconds // _SECONDS_PER_DAY
    )


def _rhythm(events: Frame) -> Frame:
    """Recency, events and active days by window, and the slope of weekly events."""
    daily = events.group_by("account", "day").agg(
        events=nw.col("count").sum(),
        days_before=nw.col("days_before").min(),
        first_used_at=nw.col("first_used_at").min(),
        last_used_at=nw.col("last_used_at").max(),
    )
    columns = [
        nw.col("first_used_at").min(),
        nw.col("last_used_at").max(),
        nw.col("weighted").sum(),
    ]
    for days in WINDOWS_DAYS:
        columns.append(nw.col(f"events_{days}d").sum())
        columns.append(nw.col(f"active_days_{days}d").sum())
    windows = {}
    for days in WINDOWS_DAYS:
        inside = nw.col("days_before") < days
        windows[f"events_{days}d"] = nw.when(inside).then(nw.col("events")).otherwise(0)
        windows[f"active_days_{days}d"] = nw.when(inside).then(1).otherwise(0)
    # Least squares over equally spaced weeks is a weighted sum of the weekly counts,
    # so no week needs to be built that has no events. Twice the weights are whole
    # numbers: their sum is the same in any order, and so are the bytes.
    week = nw.col("days_before") // _DAYS_PER_WEEK
    weight = nw.when(week < WEEKS).then(WEEKS - 1 - 2 * week).otherwise(0)
    return (
        daily.with_columns(**windows, weighted=nw.col("events") * weight)
        .group_by("account")
        .agg(*columns)
        .with_columns(decline_per_week=nw.col("weighted") / (2 * _SQUARES))
    )


def _breadth(events: Frame) -> Frame:
    by_feature = (
        events.filter(nw.col("days_before") < WINDOWS_DAYS[-1])
        .group_by("account", "feature")
        .agg(events=nw.col("count").sum())
    )
    sums = by_feature.group_by("account").agg(
        breadth=nw.len(), top=nw.col("events").max(), total=nw.col("events").sum()
    )
    return sums.select(
        "account", "breadth", top_feature_share=nw.col("top") / nw.col("total")
    )


def _integrations(events: Frame) -> Frame:
    failed = nw.when(nw.col("outcome") == "failed").then(nw.col("count")).otherwise(0)
    sums = (
        events.filter(
            nw.col("days_before") < WINDOWS_DAYS[-1],
            nw.col("feature").str.starts_with(INTEGRATION_PREFIX),
        )
        .with_columns(failures=failed)
        .group_by("account")
        .agg(
            integration_attempts=nw.col("count").sum(),
            failures=nw.col("failures").sum(),
        )
    )
    rate = nw.col("failures") / nw.col("integration_attempts")
    return sums.select("account", "integration_attempts", integration_failure_rate=rate)


def _people(events: Frame) -> Frame:
    by_contact = (
        events.filter(~nw.col("contact").is_null())
        .group_by("account", "contact")
        .agg(events=nw.col("count").sum(), silence=nw.col("days_before").min())
    )
    sums = by_contact.group_by("account").agg(
        top=nw.col("events").max(), total=nw.col("events").sum()
    )
    busiest = (
        by_contact.join(sums, on="account")
        .filter(nw.col("events") == nw.col("top"))
        .group_by("account")
        .agg(
            top=nw.col("top").max(),
            total=nw.col("total").max(),
            top_contact_silence=nw.col("silence").min(),
        )
    )
    return busiest.select(
        "account",
        "top_contact_silence",
        top_contact_share=nw.col("top") / nw.col("total"),
    )


def _contract(subscriptions: Frame, as_of: datetime) -> Frame:
    """Return price, seats and the reason of the end, of the last paid subscription."""
    paid = subscriptions.filter(~nw.col("plan_is_free"))
    span = paid.group_by("account").agg(
        first=nw.col("started_at").min(), last=nw.col("started_at").max()
    )
    joined = paid.join(span, on="account")
    has_ended = nw.col("ended_at") < as_of
    speaks_of_price = nw.col("end_reason").str.contains(_PRICE_WORDS)
    last = (
        joined.filter(nw.col("started_at") == nw.col("last"))
        .with_columns(
            ended_for_price=nw.when(has_ended & speaks_of_price)
            .then(1.0)
            .otherwise(0.0)
        )
        .group_by("account")
        .agg(
            mrr_minor=nw.col("mrr_minor").max(),
            seats=nw.col("seats").max(),
            ended_for_price=nw.col("ended_for_price").max(),
            contract_began_at=nw.col("first").min(),
        )
    )
    first = (
        joined.filter(nw.col("started_at") == nw.col("first"))
        .group_by("account")
        .agg(first_mrr_minor=nw.col("mrr_minor").max())
    )
    growth = nw.when(nw.col("first_mrr_minor") > 0).then(
        nw.col("mrr_minor") / nw.col("first_mrr_minor") - 1
    )
    return last.join(first, on="account", how="left").select(
        "account",
        "seats",
        "ended_for_price",
        "contract_began_at",
        mrr=nw.col("mrr_minor") / 100,
        mrr_growth=growth,
    )


def _finished(table: Frame, as_of: datetime) -> nw.DataFrame[Any]:
    """Add what compares with the date, and order rows and columns."""
    date = nw.lit(as_of)
    began = nw.min_horizontal("created_at", "first_used_at", "contract_began_at")
    counted = ("integration_attempts", "integration_failure_rate")
    table = table.with_columns(
        *(nw.col(name).fill_null(0) for name in counted),
        days_since_last_use=_days(date - nw.col("last_used_at")),
        days_since_churn=_days(date - nw.col("churned_at")),
        tenure=_days(nw.col("last_used_at") - began),
    )
    columns = [nw.col(name).cast(nw.Float64()) for name in FEATURE_NAMES]
    return table.select("account", *columns).sort("account").collect()
