"""Scores: what was thought of churned accounts, batch by batch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from campaigns.domain.values import Score
from campaigns.store.tables.programme import EnrolmentRow, ScoreRow


def replace_batch(
    session: Session, scores: Sequence[Score], *, as_of: datetime, model: str
) -> None:
    """Store the scores as of a date; an earlier batch of that date goes.

    Scores that an enrolment was decided by stay as they were.
    """
    used = select(EnrolmentRow.score).where(EnrolmentRow.score.is_not(None))
    session.execute(
        delete(ScoreRow).where(ScoreRow.as_of == as_of, ScoreRow.id.not_in(used))
    )
    kept = set(session.scalars(select(ScoreRow.account).where(ScoreRow.as_of == as_of)))
    values = [
        {
            "as_of": as_of,
            "account": score.account,
            "segment": score.segment,
            "confidence": score.confidence,
            "reasons": list(score.reasons),
            "facts": score.facts,
            "model": model,
            "chance": score.chance,
            "uplift": score.uplift,
        }
        for score in scores
        if score.account not in kept
    ]
    if values:
        session.execute(insert(ScoreRow), values)


def exist(session: Session) -> bool:
    """Say whether anything was ever scored."""
    return session.scalar(select(ScoreRow.id).limit(1)) is not None


def latest_batch(session: Session, *, before: datetime) -> datetime | None:
    """Return the date of the latest scores as of `before` or earlier."""
    return session.scalar(
        select(func.max(ScoreRow.as_of)).where(ScoreRow.as_of <= before)
    )


class Scored(NamedTuple):
    """What an enrolment needs of a score."""

    id: int
    segment: str
    uplift: float | None


def of_batch(session: Session, as_of: datetime) -> dict[str, Scored]:
    """Return the score of each account scored as of a date."""
    query = select(ScoreRow.account, ScoreRow.id, ScoreRow.segment, ScoreRow.uplift)
    rows = session.execute(query.where(ScoreRow.as_of == as_of))
    return {
        account: Scored(id_, segment, uplift) for account, id_, segment, uplift in rows
    }


def sizes(session: Session, as_of: datetime) -> dict[str, int]:
    """Return how many accounts each segment has as of a date, largest first."""
    query = (
        select(ScoreRow.segment, func.count())
        .where(ScoreRow.as_of == as_of)
        .group_by(ScoreRow.segment)
        .order_by(func.count().desc(), ScoreRow.segment)
    )
    return dict(session.execute(query).all())


def opinions(session: Session, as_of: datetime) -> list[dict[str, Any]]:
    """Return what was thought of each account as of a date, as plain values."""
    query = select(
        ScoreRow.account,
        ScoreRow.segment,
        ScoreRow.confidence,
        ScoreRow.reasons,
        ScoreRow.chance,
        ScoreRow.uplift,
    ).where(ScoreRow.as_of == as_of)
    rows = session.execute(query.order_by(ScoreRow.account))
    return [row._asdict() for row in rows]
