"""Outcomes: who came back within the window, and the counts a report is made from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, cast, exists, func, insert, select
from sqlalchemy.orm import Session

from campaigns.domain.values import CohortCount, Episode
from campaigns.domain.words import Arm, Delivery, MessageState, ReturnKind
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    OutcomeRow,
    VerdictRow,
)


class ClosedWindow(NamedTuple):
    """An enrolment whose window has closed, with its episode."""

    enrolment: int
    enrolled_at: datetime
    window_ends_at: datetime
    episode: Episode


def unsettled(session: Session, *, closed_before: datetime) -> list[ClosedWindow]:
    """Return enrolments whose window has closed and that have no outcome yet."""
    query = (
        select(EnrolmentRow, EpisodeRow)
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(
            OutcomeRow.enrolment.is_(None),
            EnrolmentRow.window_ends_at <= closed_before,
        )
        .order_by(EnrolmentRow.id)
    )
    return [
        ClosedWindow(
            enrolment.id,
            enrolment.enrolled_at,
            enrolment.window_ends_at,
            Episode(
                row.id,
                row.account,
                row.sequence,
                row.churned_at,
                row.returned_at,
                ReturnKind(row.return_kind) if row.return_kind else None,
            ),
        )
        for enrolment, row in session.execute(query)
    ]


def correct_late_returns(session: Session) -> int:
    """Let outcomes know of returns that came to light after they were settled.

    But what a verdict was given on stays as it was. Returns how many changed.
    """
    is_decided = exists().where(
        VerdictRow.campaign == EnrolmentRow.campaign,
        VerdictRow.given_at >= OutcomeRow.settled_at,
    )
    query = (
        select(OutcomeRow, EpisodeRow.returned_at)
        .join(EnrolmentRow, EnrolmentRow.id == OutcomeRow.enrolment)
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .where(
            OutcomeRow.came_back.is_(False),
            EpisodeRow.return_kind != ReturnKind.RESUBSCRIBED,
            EpisodeRow.returned_at >= EnrolmentRow.enrolled_at,
            EpisodeRow.returned_at < EnrolmentRow.window_ends_at,
            ~is_decided,
        )
    )
    found = session.execute(query).all()
    for outcome, returned_at in found:
        outcome.came_back, outcome.returned_at = True, returned_at
    session.flush()
    return len(found)


def are_all_settled(session: Session, campaign: str) -> bool:
    """Say whether every enrolment of a campaign has its outcome."""
    query = (
        select(EnrolmentRow.id)
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(EnrolmentRow.campaign == campaign, OutcomeRow.enrolment.is_(None))
        .limit(1)
    )
    return session.scalar(query) is None


def settle(
    session: Session,
    outcomes: Sequence[tuple[int, datetime | None]],
    *,
    definition: str,
    now: datetime,
) -> None:
    """Record for each enrolment when it was won back, or None if it was not."""
    values = [
        {
            "enrolment": enrolment,
            "definition": definition,
            "came_back": returned_at is not None,
            "returned_at": returned_at,
            "settled_at": now,
        }
        for enrolment, returned_at in outcomes
    ]
    if values:
        session.execute(insert(OutcomeRow), values)


def matured_counts(session: Session) -> list[CohortCount]:
    """Return accounts and returns of each settled cohort, by arm and segment."""
    query = (
        select(
            EnrolmentRow.campaign,
            CohortRow.number,
            CohortRow.enrolled_at,
            CohortRow.window_ends_at,
            EnrolmentRow.arm,
            EnrolmentRow.segment,
            func.count().label("accounts"),
            func.sum(cast(OutcomeRow.came_back, Integer)).label("returned"),
        )
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .group_by(
            EnrolmentRow.campaign,
            CohortRow.number,
            CohortRow.enrolled_at,
            CohortRow.window_ends_at,
            EnrolmentRow.arm,
            EnrolmentRow.segment,
        )
        .order_by(EnrolmentRow.campaign, CohortRow.number, EnrolmentRow.segment)
    )
    return [
        CohortCount(
            row.campaign,
            row.number,
            row.enrolled_at,
            row.window_ends_at,
            Arm(row.arm),
            row.segment,
            row.accounts,
            row.returned,
        )
        for row in session.execute(query)
    ]


def waiting_counts(session: Session) -> dict[str, dict[Arm, int]]:
    """Return how many enrolled accounts have no outcome yet, by campaign and arm."""
    query = (
        select(EnrolmentRow.campaign, EnrolmentRow.arm, func.count())
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(OutcomeRow.enrolment.is_(None))
        .group_by(EnrolmentRow.campaign, EnrolmentRow.arm)
    )
    found: dict[str, dict[Arm, int]] = {}
    for campaign, arm, count in session.execute(query):
        found.setdefault(campaign, {})[Arm(arm)] = count
    return found


def delivery_counts(session: Session, campaign: str) -> dict[Delivery, int]:
    """Return how many accepted messages of a campaign stand at which delivery."""
    query = (
        select(MessageRow.delivery, func.count())
        .where(
            MessageRow.campaign == campaign, MessageRow.state == MessageState.ACCEPTED
        )
        .group_by(MessageRow.delivery)
    )
    return {Delivery(word): count for word, count in session.execute(query)}


def verdict(session: Session, campaign: str) -> dict[str, Any] | None:
    """Return the verdict that was given on a campaign, or None."""
    row = session.get(VerdictRow, campaign)
    if row is None:
        return None
    return {
        "verdict": row.verdict,
        "given_at": row.given_at,
        "definition": row.definition,
        "counts": row.counts,
    }


def give_verdict(
    session: Session,
    campaign: str,
    *,
    verdict: str,
    definition: str,
    counts: dict[str, Any],
    now: datetime,
) -> None:
    """Record the verdict on a campaign; it is given once."""
    session.add(
        VerdictRow(
            campaign=campaign,
            verdict=verdict,
            definition=definition,
            counts=counts,
            given_at=now,
        )
    )
    session.flush()
