"""Imports as rows: which file, when, and what became of its rows."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import ImportCounts
from campaigns.store.tables.records import ImportRunRow


def begin(session: Session, *, kind: str, file: str, sha256: str, now: datetime) -> int:
    """Record that an import began and return its number."""
    row = ImportRunRow(kind=kind, file=file, sha256=sha256, started_at=now)
    session.add(row)
    session.flush()
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


def known_until(session: Session, kinds: tuple[str, ...]) -> datetime | None:
    """Return when one of `kinds` was last imported: nothing later can be known."""
    query = select(func.max(ImportRunRow.finished_at)).where(
        ImportRunRow.kind.in_(kinds)
    )
    return session.scalar(query)


def latest_finished(session: Session) -> int | None:
    """Return the number of the latest import that came to its end."""
    query = select(func.max(ImportRunRow.id)).where(
        ImportRunRow.finished_at.is_not(None)
    )
    return session.scalar(query)


def unfinished(session: Session) -> list[str]:
    """Return the files whose import began and never ended, in order."""
    finished = select(ImportRunRow.sha256).where(ImportRunRow.finished_at.is_not(None))
    query = select(ImportRunRow.file).where(
        ImportRunRow.finished_at.is_(None), ImportRunRow.sha256.not_in(finished)
    )
    return list(session.scalars(query.order_by(ImportRunRow.id)))
