"""Imports as rows: which file, when, and what became of its rows."""

from datetime import datetime

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import ImportCounts
from campaigns.store import changes
from campaigns.store.tables.records import ImportRunRow


def begin(session: Session, *, kind: str, file: str, sha256: str, now: datetime) -> int:
    """Record that an import began and return its number."""
    row = ImportRunRow(kind=kind, file=file, sha256=sha256, started_at=now)
    session.add(row)
    session.flush()
    changes.note(session)
    return row.id


def finish(session: Session, run: int, counts: ImportCounts, *, now: datetime) -> None:
    """Record that an import came to its end, and its counts."""
    session.execute(
        update(ImportRunRow)
        .where(ImportRunRow.id == run)
        .values(
            finished_at=now,
            taken=counts.taken,
            unchanged=counts.unchanged,
            rejected=counts.rejected,
        )
    )


def fail(session: Session, run: int, counts: ImportCounts, *, error: str) -> None:
    """Record that an import could not come to its end, why, and what it took."""
    session.execute(
        update(ImportRunRow)
        .where(ImportRunRow.id == run)
        .values(
            taken=counts.taken,
            unchanged=counts.unchanged,
            rejected=counts.rejected,
            error=error,
        )
    )


def known_until(session: Session, kinds: tuple[str, ...]) -> datetime | None:
    """Return up to when returns can be known, by imports of `kinds`.

    For each kind that was ever imported, its latest import with a good row counts; of
    these the earliest, because what one kind tells the other does not.
    """
    query = (
        select(func.max(ImportRunRow.finished_at))
        .where(
            ImportRunRow.kind.in_(kinds),
            ImportRunRow.taken + ImportRunRow.unchanged > 0,
        )
        .group_by(ImportRunRow.kind)
    )
    return min((each for each in session.scalars(query) if each), default=None)


def latest_finished(session: Session) -> int | None:
    """Return the number of the latest import that came to its end."""
    query = select(func.max(ImportRunRow.id)).where(
        ImportRunRow.finished_at.is_not(None)
    )
    return session.scalar(query)


def is_any_open(session: Session, *, since: datetime) -> bool:
    """Say whether an import that began since a moment runs, or was broken off."""
    is_open = exists().where(
        ImportRunRow.finished_at.is_(None), ImportRunRow.started_at >= since
    )
    return bool(session.scalar(select(is_open)))


def unfinished(session: Session) -> list[tuple[str, str | None]]:
    """Return the files whose import began and never ended, with the cause if known."""
    finished = select(ImportRunRow.sha256).where(ImportRunRow.finished_at.is_not(None))
    query = select(ImportRunRow.file, ImportRunRow.error).where(
        ImportRunRow.finished_at.is_(None), ImportRunRow.sha256.not_in(finished)
    )
    return [(file, error) for file, error in session.execute(query)]
