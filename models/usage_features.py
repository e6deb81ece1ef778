"""What an account's events say, each feature written once as a Narwhals expression.

Events are rolled up three ways (by day, by feature, by person), and each roll-up is
summed by account. Counts are whole numbers until the last step: their sums are the same
in any order, and so are the bytes.
"""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import narwhals as nw

from models.definitions import (
    FIRST_DAYS,
    INTEGRATION_PREFIX,
    LONG_GAP_DAYS,
    ONBOARDING_PREFIX,
    WEEKS,
    WINDOWS_DAYS,
)

Frame = nw.LazyFrame[Any]
SECONDS_PER_DAY: Final = 86_400
RECENT_DAYS: Final = WINDOWS_DAYS[-1]
_MONTH_DAYS: Final = 30
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_PER_WEEK: Final = 7
_EPOCH_WEEKDAY: Final = 3  # 1970 began on a Thursday; Monday is 0
_SATURDAY: Final = 5
_DAYS: Final = 100_000
"""More than there are days: an account's number and a day fit into one whole number."""

_SQUARES: Final = sum((week - (WEEKS - 1) / 2) ** 2 for week in range(WEEKS))
_FINE: Final = 2**40
"""Information is summed as whole multiples of one over this, in bits."""


class Events(NamedTuple):
    """Events of some accounts, in whole numbers.

    Attributes:
        each: number (of the account), second (since 1970), day, feature, contact,
            count, failed (the count if it failed, else 0).
        days: number, day, events, first, last (seconds), before (days before the last
            use): one row a day with use.
        span: number, first, last (seconds), first_day, last_day, active_days.
    """

    each: Frame
    days: Frame
    span: Frame


def seconds(moment: nw.Expr) -> nw.Expr:
    """Return a moment as whole seconds since 1970."""
    return (moment - nw.lit(_EPOCH)).dt.total_seconds()


def divided(number: nw.Expr, by: float) -> nw.Expr:
    """Return a column divided by a constant, alike however many rows there are.

    By a constant, Polars multiplies with its inverse unless there is one row: that is
    another last bit. By a column it divides.
    """
    return number / (number * 0 + by)


def kept(frame: Frame) -> Frame:
    """Return a frame that is used several times, computed once where that is cheap."""
    if frame.implementation.is_polars():
        return frame.collect(engine="streaming").lazy()
    return frame


def events_of(usage: Frame, numbers: Frame, *, as_of: datetime) -> Events:
    """Return the events before a date of the accounts that bear a number.

    Args:
        usage: account, at, feature, contact, count, outcome.
        numbers: account, number.
        as_of: Events at or after it do not exist.
    """
    failed = nw.when(nw.col("outcome") == "failed").then(nw.col("count")).otherwise(0)
    each = kept(
        usage.select("account", "at", "feature", "contact", "count", "outcome")
        .filter(nw.col("at") < as_of)
        .join(numbers, on="account")
        .select(
            "number",
            "feature",
            "contact",
            "count",
            second=seconds(nw.col("at")),
            failed=failed,
        )
        .with_columns(day=nw.col("second") // SECONDS_PER_DAY)
    )
    days = (
        each.with_columns(key=nw.col("number") * _DAYS + nw.col("day"))
        .group_by("key")
        .agg(
            events=nw.col("count").sum(),
            first=nw.col("second").min(),
            last=nw.col("second").max(),
        )
        .with_columns(number=nw.col("key") // _DAYS, day=nw.col("key") % _DAYS)
    )
    days = kept(days.drop("key"))
    span = kept(
        days.group_by("number")
        .agg(
            active_days=nw.len(), first=nw.col("first").min(), last=nw.col("last").max()
        )
        .with_columns(
            first_day=nw.col("first") // SECONDS_PER_DAY,
            last_day=nw.col("last") // SECONDS_PER_DAY,
        )
    )
    return Events(each, days, span)


def rhythm(events: Events) -> Frame:
    """Events and active days by window, weekends, the slope of weekly events."""
    days = events.days.join(
        events.span.select("number", "first_day", "last_day"), on="number"
    ).with_columns(before=nw.col("last_day") - nw.col("day"))
    weekday = (nw.col("day") + _EPOCH_WEEKDAY) % _DAYS_PER_WEEK
    # Least squares over equally spaced weeks is a weighted sum of the weekly counts,
    # so no week needs to be built that has no events. Twice the weights are whole.
    week = nw.col("before") // _DAYS_PER_WEEK
    weight = nw.when(week < WEEKS).then(WEEKS - 1 - 2 * week).otherwise(0)
    is_first_month = nw.col("day") - nw.col("first_day") < FIRST_DAYS
    columns = {
        "total": nw.col("events"),
        "weekend": _where(weekday >= _SATURDAY, nw.col("events")),
        "first_month_events": _where(is_first_month, nw.col("events")),
        "weighted": nw.col("events") * weight,
    }
    for window in WINDOWS_DAYS:
        inside = nw.col("before") < window
        columns[f"events_{window}d"] = _where(inside, nw.col("events"))
        columns[f"active_days_{window}d"] = _where(inside, nw.lit(1))
    sums = (
        days.with_columns(**columns)
        .group_by("number")
        .agg(*(nw.col(name).sum() for name in columns))
    )
    per_day = nw.col(f"events_{RECENT_DAYS}d") / nw.col(f"active_days_{RECENT_DAYS}d")
    windows = [
        f"{what}_{d}d" for what in ("events", "active_days") for d in WINDOWS_DAYS
    ]
    return sums.select(
        "number",
        "first_month_events",
        *windows,
        decline_per_week=divided(nw.col("weighted"), 2 * _SQUARES),
        weekend_share=nw.col("weekend") / nw.col("total"),
        events_per_active_day=per_day,
    )


def gaps(events: Events) -> Frame:
    """Return how far active days lie apart, and how often a long pause ended."""
    before = nw.col("day").shift(1).over("number", order_by="day")
    pauses = events.days.select("number", gap=nw.col("day") - before)
    return (
        pauses.with_columns(
            is_long=nw.when(nw.col("gap") >= LONG_GAP_DAYS).then(1).otherwise(0)
        )
        .group_by("number")
        .agg(longest_gap=nw.col("gap").max(), earlier_returns=nw.col("is_long").sum())
    )


def by_feature(events: Events) -> Frame:
    """Return what the features used say: breadth, integrations, setting up."""
    last_day = events.span.select("number", "last_day")
    is_recent = nw.col("last_day") - nw.col("day") < RECENT_DAYS
    rows = (
        events.each.join(last_day, on="number")
        .with_columns(
            recent=_where(is_recent, nw.col("count")),
            failures=_where(is_recent, nw.col("failed")),
            worked_on=nw.when(nw.col("failed") == 0).then(nw.col("day")),
        )
        .group_by("number", "feature")
        .agg(
            recent=nw.col("recent").sum(),
            failures=nw.col("failures").sum(),
            worked_on=nw.col("worked_on").min(),
        )
    )
    totals = rows.group_by("number").agg(recent_events=nw.col("recent").sum())
    rows = rows.join(totals, on="number")
    is_integration = nw.col("feature").str.starts_with(INTEGRATION_PREFIX)
    is_step = nw.col("feature").str.starts_with(ONBOARDING_PREFIX)
    worked = ~nw.col("worked_on").is_null()
    # H = −Σ p·log2(p). Source: C. Shannon, 1948. No p is above one, so no whole number
    # made of it is too large, whatever was counted.
    share = nw.col("recent") / nw.col("recent_events")
    information = nw.when(nw.col("recent") > 0).then(-share * share.log(2)).otherwise(0)
    columns = {
        "breadth": _where(nw.col("recent") > 0, nw.lit(1)),
        "recent_failures": nw.col("failures"),
        "information": (information * _FINE).round().cast(nw.Int64()),
        "integration_attempts": _where(is_integration, nw.col("recent")),
        "integration_failures": _where(is_integration, nw.col("failures")),
        "integrations_connected": _where(is_integration & worked, nw.lit(1)),
        "onboarding_step": _where(is_step & worked, nw.lit(1)),
    }
    sums = (
        rows.with_columns(
            **columns, step_day=nw.when(is_step).then(nw.col("worked_on"))
        )
        .group_by("number")
        .agg(
            *(nw.col(name).sum() for name in columns),
            nw.col("recent_events").max(),
            top=nw.col("recent").max(),
            step_day=nw.col("step_day").max(),
        )
    )
    total = nw.col("recent_events")
    attempts = nw.col("integration_attempts")
    rate = nw.when(attempts > 0).then(nw.col("integration_failures") / attempts)
    return sums.select(
        "number",
        "breadth",
        "integration_attempts",
        "integrations_connected",
        "onboarding_step",
        "step_day",
        top_feature_share=nw.col("top") / total,
        failure_rate=nw.col("recent_failures") / total,
        usage_entropy=nw.col("information") / _FINE,
        integration_failure_rate=rate,
    )


def by_person(events: Events) -> Frame:
    """Return what the people who used it say: how many, and about the busiest."""
    people = (
        events.each.filter(~nw.col("contact").is_null())
        .group_by("number", "contact")
        .agg(events=nw.col("count").sum(), last=nw.col("day").max())
        .join(events.span.select("number", "last_day"), on="number")
        .with_columns(silence=nw.col("last_day") - nw.col("last"))
        .with_columns(
            active_users_30d=_where(nw.col("silence") < _MONTH_DAYS, nw.lit(1)),
            active_users_90d=_where(nw.col("silence") < RECENT_DAYS, nw.lit(1)),
        )
    )
    people = kept(people)
    sums = people.group_by("number").agg(
        nw.col("active_users_30d").sum(),
        nw.col("active_users_90d").sum(),
        top=nw.col("events").max(),
        total=nw.col("events").sum(),
    )
    silence = (
        people.join(sums.select("number", "top"), on="number")
        .filter(nw.col("events") == nw.col("top"))
        .group_by("number")
        .agg(top_contact_silence=nw.col("silence").min())
    )
    return sums.join(silence, on="number").select(
        "number",
        "active_users_30d",
        "active_users_90d",
        "top_contact_silence",
        top_contact_share=nw.col("top") / nw.col("total"),
    )


def _where(condition: nw.Expr, value: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(value).otherwise(0)
