"""Stays: whether who came back was still here some days later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Integer, and_, cast, func, insert, select, update
from sqlalchemy.orm import Session

from campaigns.domain.words import Arm
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    OutcomeRow,
    StayRow,
)


class Due(NamedTuple):
    """An account that came back so long ago that its stay can be seen.

    Attributes:
        enrolment: Whose outcome it is.
        account: The account.
        returned_at: When it came back.
        at: The moment in question.
    """

    enrolment: int
    account: str
    returned_at: datetime
    at: datetime


class Stay(NamedTuple):
    """What was seen of an account some days after it came back.

    Attributes:
        enrolment: Whose outcome it is.
        is_here: Whether it was still here.
    """

    enrolment: int
    is_here: bool


def due(session: Session, *, days: int, before: datetime) -> list[Due]:
    """Return who came back `days` before a moment or earlier, and was not seen yet."""
    later = timedelta(days=days)
    query = (
        select(OutcomeRow.enrolment, EnrolmentRow.account, OutcomeRow.returned_at)
        .join(EnrolmentRow, EnrolmentRow.id == OutcomeRow.enrolment)
        .outerjoin(
            StayRow,
            and_(StayRow.enrolment == OutcomeRow.enrolment, StayRow.days == days),
        )
        .where(
            OutcomeRow.came_back,
            OutcomeRow.returned_at <= before - later,
            StayRow.enrolment.is_(None),
        )
        .order_by(OutcomeRow.enrolment)
    )
    return [
        Due(enrolment, account, returned_at, returned_at + later)
        for enrolment, account, returned_at in session.execute(query)
        if returned_at
    ]


def record(session: Session, seen: Sequence[Stay], *, days: int) -> None:
    """Record what was seen of accounts so many days after they came back."""
    values = [{"days": days, **each._asdict()} for each in seen]
    if values:
        session.execute(insert(StayRow), values)


class Unlooked(NamedTuple):
    """A stay of which it was not looked at yet what was used.

    Attributes:
        enrolment: Whose outcome it is.
        days: How many days after the return.
        account: The account.
        returned_at: When it came back.
    """

    enrolment: int
    days: int
    account: str
    returned_at: datetime

    @property
    def at(self) -> datetime:
        """The end of its days."""
        return self.returned_at + timedelta(days=self.days)


def unlooked(session: Session, *, before: datetime) -> list[Unlooked]:
    """Return the stays that ended before a moment and were not looked at."""
    query = (
        select(
            StayRow.enrolment,
            StayRow.days,
            EnrolmentRow.account,
            OutcomeRow.returned_at,
        )
        .join(OutcomeRow, OutcomeRow.enrolment == StayRow.enrolment)
        .join(EnrolmentRow, EnrolmentRow.id == StayRow.enrolment)
        .where(StayRow.features.is_(None), OutcomeRow.returned_at < before)
        .order_by(StayRow.enrolment, StayRow.days)
    )
    rows = [
        Unlooked(enrolment, days, account, returned_at)
        for enrolment, days, account, returned_at in session.execute(query)
        if returned_at
    ]
    return [row for row in rows if row.at <= before]


def record_features(session: Session, used: Sequence[tuple[Unlooked, int]]) -> None:
    """Record how many features were used during stays."""
    values = [
        {"enrolment": stay.enrolment, "days": stay.days, "features": features}
        for stay, features in used
    ]
    if values:
        session.execute(update(StayRow), values)


class StayCount(NamedTuple):
    """How many of a cohort's arm that came back were looked at, and were here."""

    campaign: str
    cohort: int
    arm: Arm
    days: int
    seen: int
    here: int


def counts(session: Session) -> list[StayCount]:
    """Return the counts of each cohort and arm."""
    group = EnrolmentRow.cohort, EnrolmentRow.arm, StayRow.days
    here = func.sum(cast(StayRow.is_here, Integer))
    query = (
        select(*group, func.count(), here)
        .join(StayRow, StayRow.enrolment == EnrolmentRow.id)
        .group_by(*group)
        .order_by(*group)
    )
    names = select(CohortRow.id, CohortRow.campaign, CohortRow.number)
    named = {cohort: (name, n) for cohort, name, n in session.execute(names)}
    return [
        StayCount(*named[cohort], Arm(arm), days, seen, here)
        for cohort, arm, days, seen, here in session.execute(query)
    ]
