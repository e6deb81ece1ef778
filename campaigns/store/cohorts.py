"""Cohorts: when a campaign looks for churned accounts, and what came of it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import Cohort
from campaigns.domain.words import CampaignState
from campaigns.store.tables.programme import CampaignRow, CohortRow, EnrolmentRow

_COHORT = (
    CohortRow.id,
    CohortRow.campaign,
    CohortRow.number,
    CohortRow.due_at,
    CohortRow.enrolled_at,
)


def due_cohorts(session: Session, *, now: datetime) -> list[Cohort]:
    """Return the cohorts of running campaigns that are due and not enrolled."""
    query = (
        select(*_COHORT)
        .join(CampaignRow, CampaignRow.name == CohortRow.campaign)
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            CohortRow.enrolled_at.is_(None),
            CohortRow.due_at <= now,
        )
        .order_by(CohortRow.due_at, CohortRow.campaign, CohortRow.number)
    )
    return [Cohort(*row) for row in session.execute(query)]


def next_cohort_at(
    session: Session, *, after: datetime | None = None
) -> datetime | None:
    """Return when the next cohort of a running campaign falls due.

    One that is overdue comes first, unless only those `after` a moment are asked for.
    """
    query = (
        select(func.min(CohortRow.due_at))
        .join(CampaignRow, CampaignRow.name == CohortRow.campaign)
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            CohortRow.enrolled_at.is_(None),
        )
    )
    if after is not None:
        query = query.where(CohortRow.due_at > after)
    return session.scalar(query)


def close_cohort(
    session: Session,
    cohort: int,
    *,
    now: datetime,
    window_ends_at: datetime,
    churned: int,
) -> None:
    """Record that a cohort was enrolled, out of how many churned accounts."""
    session.execute(
        update(CohortRow)
        .where(CohortRow.id == cohort)
        .values(enrolled_at=now, window_ends_at=window_ends_at, churned=churned)
    )


def cohorts_of(session: Session, name: str) -> list[Cohort]:
    """Return all planned cohorts of a campaign, in order."""
    query = select(*_COHORT).where(CohortRow.campaign == name)
    return [Cohort(*row) for row in session.execute(query.order_by(CohortRow.number))]


def ids_of(name: str, *, closed_before: datetime | None = None) -> Select[int]:
    """Return the query for a campaign's cohorts, or for those whose windows closed."""
    query = select(CohortRow.id).where(CohortRow.campaign == name)
    if closed_before is not None:
        query = query.where(CohortRow.window_ends_at <= closed_before)
    return query


class EmptyCohort(NamedTuple):
    """A cohort that found nobody to enrol."""

    number: int
    enrolled_at: datetime
    window_ends_at: datetime


def without_accounts(
    session: Session, name: str, *, closed_before: datetime
) -> list[EmptyCohort]:
    """Return a campaign's closed cohorts that nobody is in."""
    someone = exists().where(EnrolmentRow.cohort == CohortRow.id)
    query = (
        select(CohortRow.number, CohortRow.enrolled_at, CohortRow.window_ends_at)
        .where(CohortRow.id.in_(ids_of(name, closed_before=closed_before)), ~someone)
        .order_by(CohortRow.number)
    )
    return [
        EmptyCohort(number, enrolled_at, window_ends_at)
        for number, enrolled_at, window_ends_at in session.execute(query)
        if enrolled_at is not None and window_ends_at is not None
    ]


def first_enrolled_at(session: Session, name: str) -> datetime | None:
    """Return when a campaign's first cohort was enrolled; None before it was."""
    query = select(func.min(CohortRow.enrolled_at)).where(CohortRow.campaign == name)
    return session.scalar(query)


def last_window_ends_at(session: Session, name: str) -> datetime | None:
    """Return when the last planned cohort's window closes; None before it enrolled."""
    ends = list(
        session.scalars(
            select(CohortRow.window_ends_at).where(CohortRow.campaign == name)
        )
    )
    known = [end for end in ends if end is not None]
    return max(known) if ends and len(known) == len(ends) else None


def churned_in_latest_cohort(session: Session, name: str) -> int:
    """Return how many churned accounts the latest cohort looked at."""
    query = (
        select(CohortRow.churned)
        .where(CohortRow.campaign == name, CohortRow.enrolled_at.is_not(None))
        .order_by(CohortRow.number.desc())
        .limit(1)
    )
    return session.scalar(query) or 0
