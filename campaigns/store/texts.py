"""Texts: how many of the accounts that were given one came back."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session

from campaigns.domain.values import ArmCount
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import CohortRow, EnrolmentRow, OutcomeRow


class TextCount(NamedTuple):
    """A cohort's accounts that were given a text at a step, mailed or not."""

    step: int
    cohort: int
    window_ends_at: datetime
    text: str
    counted: ArmCount


def counts(session: Session, campaign: str) -> list[TextCount]:
    """Return the counts of each step with several texts, in the order of windows."""
    keys = (
        MessageRow.step,
        CohortRow.window_ends_at,
        CohortRow.number,
        MessageRow.variant,
    )
    query = (
        select(*keys, func.count(), func.sum(cast(OutcomeRow.came_back, Integer)))
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(CohortRow, CohortRow.id == EnrolmentRow.cohort)
        .join(OutcomeRow, OutcomeRow.enrolment == EnrolmentRow.id)
        .where(MessageRow.campaign == campaign, MessageRow.variant.is_not(None))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        TextCount(step, cohort, ends_at, text, ArmCount(accounts, returned))
        for step, ends_at, cohort, text, accounts, returned in session.execute(query)
        if ends_at is not None and text is not None
    ]
