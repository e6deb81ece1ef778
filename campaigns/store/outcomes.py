"""Outcomes: who came back within the window, and the counts a report is made from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, cast, func, insert, select
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


def unsettled(
    session: Session, *, closed_before: datetime
) -> list[tuple[int, datetime, Episode]]:
    """Return enrolments whose window has closed and that have no outcome yet.

    Each with the moment of its enrolment and its episode, ordered by enrolment.
    """
    query = (
        select(EnrolmentRow.id, EnrolmentRow.enrolled_at, EpisodeRow)
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(
            OutcomeRow.enrolment.is_(None),
            EnrolmentRow.window_ends_at <= closed_before,
        )
        .order_by(EnrolmentRow.id)
    )
    return [
        (
            enrolment,
            enrolled_at,
            Episode(
                row.id,
                row.account,
                row.sequence,
                row.churned_at,
                row.returned_at,
                ReturnKind(row.return_kind) if row.return_kind else None,
            ),
        )
        for enrolment, enrolled_at, row in session.execute(query)
    ]


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


def matured_counts(session: Session, *, definition: str) -> list[CohortCount]:
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
        .where(OutcomeRow.definition == definition)
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
