"""What models may learn from: whom nobody mailed, and who was mailed by lot."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.domain.words import Arm
from campaigns.store.tables.programme import (
    EnrolmentRow,
    HoldoutRow,
    OutcomeRow,
    ScoreRow,
)

_AT_ONCE = 10_000


class Unmailed(NamedTuple):
    """Whose returns nobody prompted.

    Attributes:
        until: Before this moment nobody was mailed; None if nobody ever was.
        held_out: When each account of the holdout was drawn into it.
    """

    until: datetime | None
    held_out: dict[str, datetime]

    def counts(self, account: str, *, cutoff: datetime, until: datetime) -> bool:
        """Say whether an account's return between two moments was unprompted.

        It must have been held out before the first: who is found not to have been
        mailed afterwards was spared because it returned.
        """
        if self.until is None or until <= self.until:
            return True
        drawn_at = self.held_out.get(account)
        return drawn_at is not None and drawn_at <= cutoff


def unmailed(session: Session) -> Unmailed:
    """Return whose returns nobody prompted."""
    first = session.scalar(select(func.min(HoldoutRow.assigned_at)))
    query = select(HoldoutRow.account, HoldoutRow.assigned_at)
    held_out = session.execute(query.where(HoldoutRow.arm == Arm.HOLDOUT))
    return Unmailed(first, dict(held_out.all()))


class TrialRow(NamedTuple):
    """An enrolled account whose window closed.

    Attributes:
        account: Which.
        as_of: When it was scored: what was known of it then stands in that snapshot.
        is_treated: Whether it was to be mailed.
        came_back: Whether it did.
        settled_at: When that was found.
        treated_chance: The chance it had of that; None if it was not kept.
        enrolled_chance: The chance it had of being enrolled.
    """

    account: str
    as_of: datetime
    is_treated: bool
    came_back: bool
    settled_at: datetime
    treated_chance: float | None
    enrolled_chance: float


def settled(session: Session) -> Iterator[TrialRow]:
    """Yield each account's first enrolment, if it has an outcome and a score.

    Only the first: who is enrolled again has not come back, and mails had their part
    in who that is. Arms of those alone are not alike.
    """
    first = select(func.min(EnrolmentRow.id)).group_by(EnrolmentRow.account)
    query = (
        select(
            EnrolmentRow.account,
            ScoreRow.as_of,
            EnrolmentRow.arm,
            OutcomeRow.came_back,
            OutcomeRow.settled_at,
            HoldoutRow.holdout_chance,
            EnrolmentRow.enrolment_chance,
        )
        .join(ScoreRow, ScoreRow.id == EnrolmentRow.score)
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .join(HoldoutRow, HoldoutRow.account == EnrolmentRow.account)
        .where(EnrolmentRow.id.in_(first))
        .order_by(EnrolmentRow.id)
    )
    for (
        account,
        as_of,
        arm,
        came_back,
        settled_at,
        held_out,
        enrolled,
    ) in session.execute(query.execution_options(yield_per=_AT_ONCE)):
        treated = None if held_out is None else 1 - held_out
        yield TrialRow(
            account,
            as_of,
            arm == Arm.TREATED,
            came_back,
            settled_at,
            treated,
            enrolled,
        )
