"""Runs: which job ran for which due time, how it ended, and when it will again."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from campaigns.rules.retries import retry_at
from campaigns.store.tables.operations import RunRow
from campaigns.store.upserts import insert_new


class Run(NamedTuple):
    """One run of a job.

    Attributes:
        id: Its number.
        job: Which job.
        due_at: For which due time.
        started_at: When it last began.
        finished_at: When it ended; None while it runs.
        result: What came of it.
        error: Why it failed.
        attempts: How often it was tried.
        retry_at: When it is tried again.
    """

    id: int
    job: str
    due_at: datetime
    started_at: datetime
    finished_at: datetime | None
    result: dict[str, Any] | None
    error: str | None
    attempts: int
    retry_at: datetime | None


def begin(session: Session, job: str, *, due_at: datetime, now: datetime) -> int | None:
    """Record that a job begins for a due time; return the run's number.

    None if it was begun before, unless it failed and its time to be tried again has
    come. The unique key is the guarantee: two processes, a late start or a repeated
    hour can ask as often as they like, one of them is told yes.
    """
    values = {"job": job, "due_at": due_at, "started_at": now, "attempts": 1}
    if not insert_new(session, RunRow, values):
        again = (
            update(RunRow)
            .where(RunRow.job == job, RunRow.due_at == due_at, RunRow.retry_at <= now)
            .values(
                started_at=now,
                finished_at=None,
                retry_at=None,
                attempts=RunRow.attempts + 1,
            )
            .returning(RunRow.id)
        )
        return session.scalar(again)
    query = select(RunRow.id).where(RunRow.job == job, RunRow.due_at == due_at)
    return session.scalars(query).one()


def end(
    session: Session,
    run: int,
    *,
    now: datetime,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    replaces_earlier: bool = True,
) -> None:
    """Record that a run ended, with its result or its error and the next try.

    Where it `replaces_earlier`, runs of its job for earlier due times that failed are
    not tried again: this one did what they had to.
    """
    row = session.get_one(RunRow, run)
    row.finished_at, row.result, row.error = now, result, error
    row.retry_at = None if error is None else retry_at(row.attempts, failed_at=now)
    if error is not None or not replaces_earlier:
        return
    session.execute(
        update(RunRow)
        .where(RunRow.job == row.job, RunRow.due_at < row.due_at)
        .values(retry_at=None)
    )


def is_done(session: Session, job: str, *, due_at: datetime) -> bool:
    """Say whether a job's run for a due time came to a good end."""
    query = select(RunRow.id).where(
        RunRow.job == job,
        RunRow.due_at == due_at,
        RunRow.finished_at.is_not(None),
        RunRow.error.is_(None),
    )
    return session.scalar(query) is not None


def last_good_start(session: Session, job: str) -> datetime | None:
    """Return when the latest run of a job that came to a good end began."""
    query = select(func.max(RunRow.started_at)).where(
        RunRow.job == job, RunRow.finished_at.is_not(None), RunRow.error.is_(None)
    )
    return session.scalar(query)


def forget_unfinished(session: Session) -> None:
    """Forget runs that a killed process began; the caller is the only one running."""
    session.execute(delete(RunRow).where(RunRow.finished_at.is_(None)))


def next_retry_at(session: Session, *, after: datetime) -> datetime | None:
    """Return when, after a moment, a run that failed is next tried again."""
    query = select(func.min(RunRow.retry_at)).where(RunRow.retry_at > after)
    return session.scalar(query)


def failed(session: Session) -> list[Run]:
    """Return the runs that failed and are to be tried again, by job."""
    query = select(RunRow).where(RunRow.retry_at.is_not(None))
    rows = session.scalars(query.order_by(RunRow.job, RunRow.due_at))
    return [_to_run(row) for row in rows]


def unfinished(session: Session) -> list[Run]:
    """Return the runs that began and have not ended, by job."""
    query = select(RunRow).where(RunRow.finished_at.is_(None)).order_by(RunRow.job)
    return [_to_run(row) for row in session.scalars(query)]


def history(session: Session, *, limit: int, job: str | None = None) -> list[Run]:
    """Return the runs that began last, the newest first, of all jobs or of one."""
    query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc())
    if job is not None:
        query = query.where(RunRow.job == job)
    return [_to_run(row) for row in session.scalars(query.limit(limit))]


def latest(session: Session) -> list[Run]:
    """Return the latest run of each job, the newest first."""
    newest = select(func.max(RunRow.id)).group_by(RunRow.job)
    query = select(RunRow).where(RunRow.id.in_(newest))
    return [_to_run(row) for row in session.scalars(query.order_by(RunRow.id.desc()))]


def _to_run(row: RunRow) -> Run:
    return Run(
        row.id,
        row.job,
        row.due_at,
        row.started_at,
        row.finished_at,
        row.result,
        row.error,
        row.attempts,
        row.retry_at,
    )
