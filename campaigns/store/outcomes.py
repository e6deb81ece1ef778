"""Outcomes: who came back within the window, and the counts a report is made from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session, aliased

from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.values import ArmCount, CohortCount, Episode
from campaigns.domain.words import (
    WIN_BACKS,
    Arm,
    Delivery,
    MessageState,
    ReturnKind,
)
from campaigns.rules.eligibility import dormancy_of
from campaigns.store.cohorts import ids_of
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    OutcomeRow,
    VerdictRow,
)
from campaigns.store.tables.records import MailingRow

_MAY_BE_OUT: Final = (
    MessageState.ACCEPTED,
    MessageState.POSTING,
    MessageState.UNKNOWN,
    MessageState.HELD,
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


def definitions(
    session: Session, campaign: str, *, closed_before: datetime
) -> frozenset[str]:
    """Return by which definitions a campaign's closed cohorts were counted."""
    # All of a cohort are counted at once: one of them speaks for it.
    of_one = (
        select(OutcomeRow.definition)
        .join(EnrolmentRow, EnrolmentRow.id == OutcomeRow.enrolment)
        .where(EnrolmentRow.cohort == CohortRow.id)
        .limit(1)
        .scalar_subquery()
    )
    query = select(of_one).where(
        CohortRow.campaign == campaign, CohortRow.window_ends_at <= closed_before
    )
    return frozenset(each for each in session.scalars(query) if each is not None)


def correct_late_returns(session: Session, definition: WinBackDefinition) -> int:
    """Let outcomes know of returns that came to light after they were settled.

    But what a verdict was given on stays as it was, and what was counted by another
    definition, for which something else is a return. Returns how many changed.
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
            or_(
                OutcomeRow.definition == definition.version,
                OutcomeRow.definition.like(definition.versions_alike),
            ),
            EpisodeRow.return_kind.in_(definition.win_backs),
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
    """Return accounts and returns of settled cohorts, by all that tells them apart."""
    # In the order of an index: nothing is sorted.
    group = (
        EnrolmentRow.cohort,
        EnrolmentRow.arm,
        EnrolmentRow.segment,
        EnrolmentRow.stratum,
        EnrolmentRow.persona,
    )
    returned = func.sum(cast(OutcomeRow.came_back, Integer))
    query = (
        select(*group, func.count(), returned)
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .group_by(*group)
        .order_by(*group)
    )
    cohorts = {row.id: row for row in session.scalars(select(CohortRow))}
    return [
        CohortCount(
            cohorts[cohort].campaign,
            cohorts[cohort].number,
            _known(cohorts[cohort].enrolled_at),
            _known(cohorts[cohort].window_ends_at),
            Arm(arm),
            segment,
            dormancy_of(stratum),
            persona,
            accounts,
            returned,
        )
        for cohort, arm, segment, stratum, persona, accounts, returned in (
            session.execute(query)
        )
    ]


def _known(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("a cohort has outcomes and was not enrolled")
    return moment


class OpenCount(NamedTuple):
    """Accounts of an arm and a cohort that have no outcome yet."""

    campaign: str
    arm: Arm
    enrolled_at: datetime
    accounts: int


def had_no_outcome(as_of: datetime) -> ColumnElement[bool]:
    """Say of an enrolment whether it was there at a moment, its outcome not yet."""
    return and_(
        EnrolmentRow.enrolled_at <= as_of,
        or_(
            OutcomeRow.enrolment.is_(None),
            and_(OutcomeRow.settled_at > as_of, EnrolmentRow.window_ends_at > as_of),
        ),
    )


def still_open(
    session: Session, *, as_of: datetime, after: datetime | None
) -> list[OpenCount]:
    """Return how many enrolled accounts had no outcome yet, by cohort and arm.

    Those whose window ended up to `after` are missing, and no longer open.
    """
    query = (
        select(
            EnrolmentRow.campaign,
            EnrolmentRow.arm,
            EnrolmentRow.enrolled_at,
            func.count(),
        )
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(had_no_outcome(as_of), _may_be_open(after))
        .group_by(EnrolmentRow.campaign, EnrolmentRow.arm, EnrolmentRow.enrolled_at)
        .order_by(EnrolmentRow.campaign, EnrolmentRow.arm, EnrolmentRow.enrolled_at)
    )
    return [
        OpenCount(campaign, Arm(arm), enrolled_at, count)
        for campaign, arm, enrolled_at, count in session.execute(query)
    ]


def _may_be_open(after: datetime | None) -> ColumnElement[bool]:
    """Say of an enrolment whether its cohort's window ends after what is known."""
    if after is None:
        return true()
    # Few cohorts: what closed long ago is not read.
    open_ones = select(CohortRow.id).where(CohortRow.window_ends_at > after)
    return EnrolmentRow.cohort.in_(open_ones)


class EarlyReturn(NamedTuple):
    """A return while the window of its enrolment is open."""

    campaign: str
    arm: Arm
    enrolled_at: datetime
    returned_at: datetime


def early_returns(
    session: Session, *, as_of: datetime, after: datetime | None
) -> list[EarlyReturn]:
    """Return who came back in a window that was still open, and ends after `after`."""
    query = (
        select(
            EnrolmentRow.campaign,
            EnrolmentRow.arm,
            EnrolmentRow.enrolled_at,
            EpisodeRow.returned_at,
        )
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(
            had_no_outcome(as_of),
            EpisodeRow.return_kind.in_(WIN_BACKS),
            EpisodeRow.returned_at >= EnrolmentRow.enrolled_at,
            EpisodeRow.returned_at < EnrolmentRow.window_ends_at,
            _may_be_open(after),
        )
        .order_by(EnrolmentRow.id)
    )
    return [
        EarlyReturn(campaign, Arm(arm), enrolled_at, returned_at)
        for campaign, arm, enrolled_at, returned_at in session.execute(query)
        if returned_at is not None
    ]


def measured(
    session: Session, campaign: str, *, closed_before: datetime
) -> dict[Arm, ArmCount]:
    """Return how many were enrolled in cohorts that closed, and have an outcome."""
    # In the order of an index: nothing is sorted.
    group = EnrolmentRow.cohort, EnrolmentRow.arm
    closed = ids_of(campaign, closed_before=closed_before)
    query = (
        select(*group, func.count(), func.count(OutcomeRow.enrolment))
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(EnrolmentRow.cohort.in_(closed))
        .group_by(*group)
        .order_by(*group)
    )
    found = {arm: ArmCount() for arm in Arm}
    for _, word, enrolled, with_outcome in session.execute(query):
        so_far = found[Arm(word)]
        found[Arm(word)] = ArmCount(
            so_far.accounts + enrolled, so_far.returned + with_outcome
        )
    return found


def leak(session: Session, campaign: str, *, before: datetime) -> ArmCount:
    """Return how many accounts were held out, and how many of them were written to.

    Whichever campaign or tool wrote to them: a holdout is held out of all.
    """
    other = aliased(EnrolmentRow)
    by_us = (
        select(AttemptRow.message)
        .join(MessageRow, MessageRow.id == AttemptRow.message)
        .join(other, other.id == MessageRow.enrolment)
        .where(
            other.account == EnrolmentRow.account,
            MessageRow.state.in_(_MAY_BE_OUT),
            AttemptRow.posted_at >= EnrolmentRow.enrolled_at,
            AttemptRow.posted_at < before,
        )
    )
    by_others = select(MailingRow.id).where(
        MailingRow.account == EnrolmentRow.account,
        MailingRow.at >= EnrolmentRow.enrolled_at,
        MailingRow.at < EnrolmentRow.window_ends_at,
        MailingRow.at < before,
    )
    is_mailed = or_(by_us.exists(), by_others.exists())
    query = (
        # An account may be there twice; if it was written to, that is one.
        select(
            func.count(),
            func.count(case((is_mailed, EnrolmentRow.account)).distinct()),
        )
        .select_from(EnrolmentRow)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .where(CohortRow.campaign == campaign, EnrolmentRow.arm == Arm.HOLDOUT)
    )
    return ArmCount(*session.execute(query).one())


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


ARRIVED: Final = (Delivery.DELIVERED, Delivery.COMPLAINED)
"""What a mail stands at that reached its mailbox."""


def mailed(
    session: Session, campaign: str, *, closed_before: datetime
) -> tuple[int, int]:
    """Return how many treated accounts of closed cohorts were mailed, and reached."""
    has_arrived = MessageRow.delivery.in_(ARRIVED)
    reached = case((has_arrived, MessageRow.enrolment))
    query = (
        select(
            func.count(MessageRow.enrolment.distinct()), func.count(reached.distinct())
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(
            MessageRow.campaign == campaign,
            MessageRow.state == MessageState.ACCEPTED,
            EnrolmentRow.arm == Arm.TREATED,
            CohortRow.window_ends_at <= closed_before,
        )
    )
    counts = session.execute(query).one()
    return counts[0], counts[1]


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
