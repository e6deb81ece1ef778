"""Money: what accounts pay again when their windows close."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.orm import Session

from campaigns.domain.words import Arm
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    OutcomeRow,
)
from campaigns.store.tables.records import SubscriptionRow


class Amount(NamedTuple):
    """What an account that came back pays a month, net of discounts.

    Attributes:
        enrolment: Whose outcome it is.
        arm: Its arm.
        currency: By ISO 4217.
        minor: In minor units.
    """

    enrolment: int
    arm: Arm
    currency: str
    minor: int


class AmountCount(NamedTuple):
    """How many accounts of a cohort's arm pay the same amount a month."""

    cohort: int
    arm: Arm
    currency: str
    minor: int
    accounts: int


def regained(
    session: Session, campaign: str, *, closed_before: datetime
) -> Iterator[Amount]:
    """Yield what runs again at the end of each closed window, where anything does."""
    query = _regained(campaign, closed_before).order_by(
        EnrolmentRow.id, SubscriptionRow.currency
    )
    for enrolment, arm, currency, minor, _ in session.execute(query):
        yield Amount(enrolment, Arm(arm), currency, int(minor))


def amounts(
    session: Session, campaign: str, *, closed_before: datetime
) -> list[AmountCount]:
    """Return how many pay how much of what `regained` yields."""
    each = _regained(campaign, closed_before).subquery()
    group = CohortRow.number, each.c.arm, each.c.currency, each.c.minor
    query = (
        select(*group, func.count())
        .join(CohortRow, CohortRow.id == each.c.cohort)
        .group_by(*group)
        .order_by(*group)
    )
    return [
        AmountCount(cohort, Arm(arm), currency, int(minor), accounts)
        for cohort, arm, currency, minor, accounts in session.execute(query)
    ]


def _regained(campaign: str, closed_before: datetime) -> Select[*tuple[Any, ...]]:
    net = SubscriptionRow.mrr_minor - func.coalesce(SubscriptionRow.discount_minor, 0)
    total, ends = func.sum(net), SubscriptionRow.ended_at
    # PostgreSQL sums integers to decimals: who reads them makes them whole again.
    minor = case((total > 0, total), else_=0).label("minor")
    return (
        select(
            EnrolmentRow.id,
            EnrolmentRow.arm,
            SubscriptionRow.currency,
            minor,
            EnrolmentRow.cohort,
        )
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .join(SubscriptionRow, SubscriptionRow.account == EnrolmentRow.account)
        .where(
            EnrolmentRow.campaign == campaign,
            EnrolmentRow.window_ends_at <= closed_before,
            OutcomeRow.came_back,
            SubscriptionRow.plan_is_free.is_(False),
            SubscriptionRow.mrr_minor > 0,
            SubscriptionRow.currency.is_not(None),
            SubscriptionRow.started_at >= EpisodeRow.churned_at,
            SubscriptionRow.started_at < EnrolmentRow.window_ends_at,
            or_(ends.is_(None), ends >= EnrolmentRow.window_ends_at),
        )
        .group_by(
            EnrolmentRow.id,
            EnrolmentRow.arm,
            EnrolmentRow.cohort,
            SubscriptionRow.currency,
        )
    )
