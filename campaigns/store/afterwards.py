"""What accounts do and say afterwards: features they use again, answers to NPS."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from campaigns.domain.definitions import STAYS
from campaigns.domain.words import Arm
from campaigns.store.tables.programme import CohortRow, EnrolmentRow, StayRow
from campaigns.store.tables.records import AccountRow, NpsRow

_AT_ONCE: Final = 10_000


class Adoption(NamedTuple):
    """How many features accounts of a group used that came back.

    Attributes:
        persona: The accounts'; None where it is not known.
        arm: Their arm.
        days: After how many days.
        accounts: How many were looked at.
        features: How many they used, all added up.
    """

    persona: str | None
    arm: Arm
    days: int
    accounts: int
    features: int


class Adopted(NamedTuple):
    """An account that came back, and how many features it used since."""

    enrolment: int
    account: str
    persona: str | None
    arm: Arm
    features: int


_ADOPTED: Final = (
    EnrolmentRow.id,
    EnrolmentRow.account,
    EnrolmentRow.persona,
    EnrolmentRow.arm,
    StayRow.features,
)


def adoption(session: Session, campaign: str, *, before: datetime) -> list[Adoption]:
    """Return the sums over cohorts whose window closed so many days before a moment."""
    group = EnrolmentRow.persona, EnrolmentRow.arm, StayRow.days
    columns = *group, func.count(), func.sum(StayRow.features)
    query = _of_returned(columns, campaign, STAYS, before).group_by(*group)
    return [
        Adoption(persona, Arm(arm), days, accounts, int(features))
        for persona, arm, days, accounts, features in session.execute(query)
    ]


def adopted(
    session: Session, campaign: str, *, days: int, before: datetime
) -> Iterator[Adopted]:
    """Yield each account of cohorts whose window closed `days` before a moment."""
    query = _of_returned(_ADOPTED, campaign, [days], before).order_by(EnrolmentRow.id)
    for enrolment, account, persona, arm, features in session.execute(
        query.execution_options(yield_per=_AT_ONCE)
    ):
        yield Adopted(enrolment, account, persona, Arm(arm), features)


def _of_returned(
    columns: tuple[Any, ...], campaign: str, after: Collection[int], before: datetime
) -> Select[*tuple[Any, ...]]:
    closed = EnrolmentRow.window_ends_at
    return (
        select(*columns)
        .select_from(EnrolmentRow)
        .join(StayRow, StayRow.enrolment == EnrolmentRow.id)
        .where(
            # Few of all came back: SQLite is to begin with those.
            EnrolmentRow.campaign.concat("") == campaign,
            # Of a younger cohort only those who came back first would be seen.
            or_(
                *(
                    and_(StayRow.days == days, closed <= before - timedelta(days=days))
                    for days in after
                )
            ),
            StayRow.features.is_not(None),
        )
    )


class Answer(NamedTuple):
    """An account's latest answer to NPS since it was enrolled, 0 to 10.

    Attributes:
        enrolment: The latest one before the answer.
        account: Whose answer it is.
        account_segment: The company's own segment of it; None where it is not known.
        cohort: Its number.
        arm: Of the account.
        at: When it answered.
        score: What.
    """

    enrolment: int
    account: str
    account_segment: str | None
    cohort: int
    arm: Arm
    at: datetime
    score: int


def answers(session: Session, campaign: str, *, before: datetime) -> Iterator[Answer]:
    """Yield the answer of each account whose window closed before a moment."""
    latest = func.row_number().over(
        partition_by=EnrolmentRow.account,
        order_by=(
            NpsRow.at.desc(),
            EnrolmentRow.id.desc(),
            # Of several people's answers at once the order of import decides nothing.
            NpsRow.contact,
        ),
    )
    numbered = (
        select(
            EnrolmentRow.id,
            EnrolmentRow.account,
            AccountRow.account_segment,
            CohortRow.number,
            EnrolmentRow.arm,
            NpsRow.at,
            NpsRow.score,
            latest.label("place"),
        )
        .join(NpsRow, NpsRow.account == EnrolmentRow.account)
        .join(AccountRow, AccountRow.id == EnrolmentRow.account)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .where(
            EnrolmentRow.campaign == campaign,
            # Few answer: SQLite is to begin with those.
            EnrolmentRow.account.in_(select(NpsRow.account)),
            EnrolmentRow.window_ends_at <= before,
            NpsRow.at >= EnrolmentRow.enrolled_at,
            NpsRow.at < before,
        )
        .subquery()
    )
    columns = [column for column in numbered.c if column.name != "place"]
    query = select(*columns).where(numbered.c.place == 1).order_by(numbered.c.id)
    for enrolment, account, segment, cohort, arm, at, score in session.execute(
        query.execution_options(yield_per=_AT_ONCE)
    ):
        yield Answer(enrolment, account, segment, cohort, Arm(arm), at, score)
