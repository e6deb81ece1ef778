"""Runs: which scheduled job ran for which due time."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from campaigns.store.tables.operations import RunRow
from campaigns.store.upserts import insert_new


def begin(session: Session, job: str, *, due_at: datetime, now: datetime) -> bool:
    """Record that a job begins for a due time; False if it was begun before.

    The unique key is the guarantee: two processes, a late start or a repeated hour can
    ask as often as they like, one of them is told yes.
    """
    values = {"job": job, "due_at": due_at, "started_at": now}
    return insert_new(session, RunRow, values)


def end(
    session: Session,
    job: str,
    *,
    due_at: datetime,
    now: datetime,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Record that a job ended, with its result or its error."""
    session.execute(
        update(RunRow)
        .where(RunRow.job == job, RunRow.due_at == due_at)
        .values(finished_at=now, result=result, error=error)
    )


def forget_unfinished(session: Session) -> None:
    """Forget runs that a killed process began; the caller is the only one running."""
    session.execute(delete(RunRow).where(RunRow.finished_at.is_(None)))


def failed(session: Session) -> list[tuple[str, datetime, str]]:
    """Return jobs whose latest run failed, with the error."""
    newest = select(func.max(RunRow.id)).group_by(RunRow.job)
    query = select(RunRow.job, RunRow.due_at, RunRow.error).where(
        RunRow.id.in_(newest), RunRow.error.is_not(None)
    )
    return [(job, due_at, error or "") for job, due_at, error in session.execute(query)]
