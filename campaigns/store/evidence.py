"""The rows that a report's numbers are counted from; they add up to them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from campaigns.domain.words import (
    WIN_BACKS,
    Arm,
    EventKind,
    MessageState,
    SuppressionReason,
)
from campaigns.rules.eligibility import dormancy_of
from campaigns.store.outcomes import ARRIVED, had_no_outcome
from campaigns.store.tables.delivery import EventRow, MessageRow, SuppressionRow
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    OutcomeRow,
    RefusalRow,
    StayRow,
)

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EnrolledAccount(NamedTuple):
    """An enrolment with its outcome, as far as there is one."""

    enrolment: int
    account: str
    arm: Arm
    cohort: int
    segment: str
    dormancy: str
    persona: str | None
    window_ends_at: datetime
    came_back: bool | None
    returned_at: datetime | None
    is_still_here: bool | None
    is_open: bool
    is_back_early: bool


def mailed(session: Session, campaign: str, *, has_arrived: bool) -> set[int]:
    """Return the enrolments that a mail was accepted for, or also delivered to."""
    query = select(MessageRow.enrolment).where(
        MessageRow.campaign == campaign, MessageRow.state == MessageState.ACCEPTED
    )
    if has_arrived:
        query = query.where(MessageRow.delivery.in_(ARRIVED))
    return set(session.scalars(query))


def enrolled(
    session: Session,
    campaign: str,
    *,
    as_of: datetime,
    known_until: datetime | None,
    days: int = 0,
) -> Iterator[EnrolledAccount]:
    """Yield every enrolment of a campaign.

    Args:
        session: The database.
        campaign: Its name.
        as_of: Which windows were open is told of then.
        known_until: Of those, returns are seen up to then; None if it never was known.
        days: After how many days it is looked whether an account was still here.
    """
    until = known_until or _LONG_AGO
    query = (
        select(
            EnrolmentRow.id,
            EnrolmentRow.account,
            EnrolmentRow.arm,
            CohortRow.number,
            EnrolmentRow.segment,
            EnrolmentRow.stratum,
            EnrolmentRow.persona,
            EnrolmentRow.window_ends_at,
            OutcomeRow.came_back,
            OutcomeRow.returned_at,
            StayRow.is_here,
            and_(had_no_outcome(as_of), EnrolmentRow.window_ends_at > until),
            and_(
                EpisodeRow.return_kind.in_(WIN_BACKS),
                EpisodeRow.returned_at >= EnrolmentRow.enrolled_at,
                EpisodeRow.returned_at < EnrolmentRow.window_ends_at,
                EpisodeRow.returned_at < until,
            ),
        )
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .outerjoin(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .outerjoin(
            StayRow,
            and_(StayRow.enrolment == EnrolmentRow.id, StayRow.days == days),
        )
        .where(EnrolmentRow.campaign == campaign)
        .order_by(EnrolmentRow.id)
        .execution_options(yield_per=10_000)
    )
    for row in session.execute(query):
        enrolment, account, arm, cohort, segment, stratum, *others = row
        *others, is_open, is_early = others
        told = Arm(arm), cohort, segment, dormancy_of(stratum)
        known = *others, bool(is_open), bool(is_open and is_early)
        yield EnrolledAccount(enrolment, account, *told, *known)


class RefusedAccount(NamedTuple):
    """A churned account that the latest cohort did not enrol."""

    account: str
    reason: str


def refused(session: Session, campaign: str) -> Iterator[RefusedAccount]:
    """Yield whom the latest cohort refused."""
    query = (
        select(RefusalRow.account, RefusalRow.reason)
        .where(RefusalRow.cohort == _latest(campaign))
        .order_by(RefusalRow.account)
    )
    for account, reason in session.execute(query):
        yield RefusedAccount(account, reason)


def enrolled_by_latest(session: Session, campaign: str) -> Iterator[RefusedAccount]:
    """Yield whom the latest cohort enrolled: nobody refused them."""
    query = (
        select(EnrolmentRow.account)
        .where(EnrolmentRow.cohort == _latest(campaign))
        .order_by(EnrolmentRow.account)
    )
    for account in session.scalars(query):
        yield RefusedAccount(account, "")


def _latest(campaign: str) -> Any:  # noqa: ANN401 — a scalar subquery
    return (
        select(func.max(CohortRow.id))
        .where(CohortRow.campaign == campaign, CohortRow.enrolled_at.is_not(None))
        .scalar_subquery()
    )


class PlannedMessage(NamedTuple):
    """A message of a campaign; never an address."""

    message: int
    account: str
    step: int
    state: str
    reason: str | None
    delivery: str


def messages(
    session: Session,
    campaign: str,
    *,
    is_clicked: bool = False,
    is_unsubscribed: bool = False,
) -> Iterator[PlannedMessage]:
    """Yield a campaign's messages: all, or those that people did something with."""
    conditions: list[ColumnElement[bool]] = [MessageRow.campaign == campaign]
    if is_clicked:
        by_people = select(EventRow.message).where(
            EventRow.kind == EventKind.CLICK, EventRow.is_machine.is_(False)
        )
        conditions.append(MessageRow.id.in_(by_people))
    if is_unsubscribed:
        by_mail = select(SuppressionRow.message).where(
            SuppressionRow.reason == SuppressionReason.UNSUBSCRIBED
        )
        conditions.append(MessageRow.id.in_(by_mail))
    query = (
        select(
            MessageRow.id,
            EnrolmentRow.account,
            MessageRow.step,
            MessageRow.state,
            MessageRow.reason,
            MessageRow.delivery,
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .where(*conditions)
        .order_by(MessageRow.id)
        .execution_options(yield_per=10_000)
    )
    for row in session.execute(query):
        yield PlannedMessage(*row)


class GivenText(NamedTuple):
    """An account that was given a text by lot, and whether it came back."""

    message: int
    account: str
    template: str
    came_back: bool


def given_text(
    session: Session, campaign: str, step: int, text: str, *, closed_by: datetime
) -> Iterator[GivenText]:
    """Yield who was given a text at a step, of windows that closed by a moment."""
    query = (
        select(
            MessageRow.id,
            EnrolmentRow.account,
            MessageRow.template,
            OutcomeRow.came_back,
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(
            MessageRow.campaign == campaign,
            MessageRow.step == step,
            MessageRow.variant == text,
            EnrolmentRow.window_ends_at <= closed_by,
        )
        .order_by(MessageRow.id)
        .execution_options(yield_per=10_000)
    )
    for row in session.execute(query):
        yield GivenText(*row)
