"""Scores: what was thought of churned accounts, batch by batch."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.orm import Session

from campaigns.domain.values import Score
from campaigns.store.tables.programme import EnrolmentRow, ScoreRow


def replace_batch(
    session: Session, scores: Iterable[Sequence[Score]], *, as_of: datetime, model: str
) -> None:
    """Store a model's scores as of a date, some at a time; an earlier batch goes.

    Scores that an enrolment was decided by stay as they were.
    """
    same = and_(ScoreRow.as_of == as_of, ScoreRow.model == model)
    session.execute(delete(ScoreRow).where(same, ScoreRow.id.not_in(_used())))
    kept = set(session.scalars(select(ScoreRow.account).where(same)))
    for some in scores:
        values = [
            _values(each, as_of=as_of, model=model)
            for each in some
            if each.account not in kept
        ]
        if values:
            session.execute(insert(ScoreRow), values)


def _values(score: Score, *, as_of: datetime, model: str) -> dict[str, Any]:
    return {
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


def keep_only(session: Session, models: Collection[str], *, as_of: datetime) -> None:
    """Delete what other models said as of a date, unless an enrolment went by it."""
    session.execute(
        delete(ScoreRow).where(
            ScoreRow.as_of == as_of,
            ScoreRow.model.not_in(models),
            ScoreRow.id.not_in(_used()),
        )
    )


def _used() -> Any:  # noqa: ANN401 — a subquery
    return select(EnrolmentRow.score).where(EnrolmentRow.score.is_not(None))


def exist(session: Session) -> bool:
    """Say whether anything was ever scored."""
    return session.scalar(select(ScoreRow.id).limit(1)) is not None


def latest_batch(session: Session, *, before: datetime) -> datetime | None:
    """Return the date of the latest scores as of `before` or earlier."""
    return session.scalar(
        select(func.max(ScoreRow.as_of)).where(ScoreRow.as_of <= before)
    )


def has(session: Session, as_of: datetime, *, model: str) -> bool:
    """Say whether a model scored any account as of a date."""
    query = select(ScoreRow.id).where(ScoreRow.as_of == as_of, ScoreRow.model == model)
    return session.scalar(query.limit(1)) is not None


class Scored(NamedTuple):
    """What an enrolment needs of a score."""

    id: int
    segment: str
    uplift: float | None


def of_batch(
    session: Session, as_of: datetime, *, model: str | None = None
) -> dict[str, Scored]:
    """Return the score of each account as of a date, by a model or by the latest."""
    query = select(ScoreRow.account, ScoreRow.id, ScoreRow.segment, ScoreRow.uplift)
    if model is not None:
        query = query.where(ScoreRow.model == model)
    query = query.where(ScoreRow.as_of == as_of).order_by(ScoreRow.id)
    rows = session.execute(query)
    return {
        account: Scored(id_, segment, uplift) for account, id_, segment, uplift in rows
    }


def sizes(session: Session, as_of: datetime, *, model: str) -> dict[str, int]:
    """Return how many accounts each segment has by a model, largest first."""
    query = (
        select(ScoreRow.segment, func.count())
        .where(ScoreRow.as_of == as_of, ScoreRow.model == model)
        .group_by(ScoreRow.segment)
        .order_by(func.count().desc(), ScoreRow.segment)
    )
    return dict(session.execute(query).all())


def mean_chance(session: Session, as_of: datetime, *, model: str) -> float | None:
    """Return the mean chance to come back unprompted; None if none is known."""
    return session.scalar(
        select(func.avg(ScoreRow.chance)).where(
            ScoreRow.as_of == as_of, ScoreRow.model == model
        )
    )


def opinions(session: Session, as_of: datetime, *, model: str) -> list[dict[str, Any]]:
    """Return what a model thought of each account as of a date, as plain values."""
    query = select(
        ScoreRow.account,
        ScoreRow.segment,
        ScoreRow.confidence,
        ScoreRow.reasons,
        ScoreRow.chance,
        ScoreRow.uplift,
    ).where(ScoreRow.as_of == as_of, ScoreRow.model == model)
    rows = session.execute(query.order_by(ScoreRow.account))
    return [row._asdict() for row in rows]
