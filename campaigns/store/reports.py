"""Reports as they were made: what is learnt later does not change them."""

from datetime import datetime

from sqlalchemy.orm import Session

from campaigns.store.tables.operations import ReportRow
from campaigns.store.upserts import insert_new


def keep(
    session: Session, week: str, content: str, *, as_of: datetime, now: datetime
) -> None:
    """Keep a week's report; the first one that was kept stays."""
    values = {"week": week, "as_of": as_of, "made_at": now, "content": content}
    insert_new(session, ReportRow, values)


def kept(session: Session, week: str) -> str | None:
    """Return the content of a week's report, or None if none was kept."""
    row = session.get(ReportRow, week)
    return row.content if row else None
