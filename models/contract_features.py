"""What an account's contracts, tickets and answers say."""

from datetime import datetime
from typing import Final

import narwhals as nw

from models.usage_features import (
    RECENT_DAYS,
    SECONDS_PER_DAY,
    Frame,
    divided,
    seconds,
)

_PRICE_WORDS: Final = "(?i)price|pricing|cost|expensive|budget"


def contract(subscriptions: Frame, *, as_of: datetime) -> Frame:
    """Return price, seats and end of the last paid subscription, by account."""
    paid = subscriptions.filter(nw.col("started_at") < as_of, ~nw.col("plan_is_free"))
    span = paid.group_by("account").agg(
        first=nw.col("started_at").min(),
        last=nw.col("started_at").max(),
        plan_changes=nw.len() - 1,
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
            nw.col("mrr_minor").max(),
            nw.col("seats").max(),
            nw.col("discount_minor").max(),
            nw.col("ended_for_price").max(),
            nw.col("plan_changes").max(),
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
    discount = nw.when(nw.col("mrr_minor") > 0).then(
        nw.col("discount_minor").fill_null(0) / nw.col("mrr_minor")
    )
    return last.join(first, on="account", how="left").select(
        "account",
        "seats",
        "ended_for_price",
        "plan_changes",
        contract_began=seconds(nw.col("contract_began_at")),
        mrr=divided(nw.col("mrr_minor"), 100),
        mrr_growth=growth,
        discount_share=discount,
    )


def tickets(rows: Frame, last_use: Frame, *, as_of: datetime) -> Frame:
    """Return how often, and when last, an account asked for help.

    Args:
        rows: account, opened_at.
        last_use: account, last (seconds since 1970).
        as_of: Later tickets do not exist.
    """
    opened = rows.filter(nw.col("opened_at") < as_of).select(
        "account", opened=seconds(nw.col("opened_at"))
    )
    since = nw.col("last") - nw.col("opened")
    is_near = since < RECENT_DAYS * SECONDS_PER_DAY
    return (
        opened.join(last_use, on="account", how="left")
        .with_columns(near=nw.when(is_near).then(1).otherwise(0))
        .group_by("account")
        .agg(tickets_90d=nw.col("near").sum(), last_ticket=nw.col("opened").max())
    )


def answers(rows: Frame, *, as_of: datetime) -> Frame:
    """Return the last NPS answer of each account, the mean of several at once."""
    given = rows.filter(nw.col("at") < as_of)
    last = given.group_by("account").agg(last=nw.col("at").max())
    return (
        given.join(last, on="account")
        .filter(nw.col("at") == nw.col("last"))
        .group_by("account")
        .agg(total=nw.col("score").sum(), given=nw.len())
        .select("account", nps=nw.col("total") / nw.col("given"))
    )
