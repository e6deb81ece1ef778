"""Episodes: one absence of an account, from its churn to its return."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import Episode, Return
from campaigns.domain.words import ReturnKind
from campaigns.store import gate
from campaigns.store.tables.programme import EpisodeRow


def _latest(session: Session) -> dict[str, EpisodeRow]:
    query = select(EpisodeRow).order_by(EpisodeRow.account, EpisodeRow.sequence)
    return {row.account: row for row in session.scalars(query)}


def record_churn(
    session: Session, churned_at: Mapping[str, datetime], *, definition: str
) -> int:
    """Open an episode for each account that has none open; return how many.

    A new one opens only after a recorded return and only for a later churn; otherwise
    a changed definition or late data merely moves the open episode's date.
    """
    latest = _latest(session)
    opened: list[dict[str, object]] = []
    for account, moment in sorted(churned_at.items()):
        row = latest.get(account)
        if row is not None and row.returned_at is None:
            row.churned_at, row.definition = moment, definition
        elif row is None or (row.returned_at and moment > row.returned_at):
            opened.append(
                {
                    "account": account,
                    "sequence": row.sequence + 1 if row else 1,
                    "churned_at": moment,
                    "definition": definition,
                }
            )
    session.flush()
    if opened:
        session.execute(insert(EpisodeRow), opened)
    return len(opened)


def open_episodes(session: Session) -> list[Episode]:
    """Return the episodes without a return, ordered by account."""
    query = (
        select(*_COLUMNS)
        .where(EpisodeRow.returned_at.is_(None))
        .order_by(EpisodeRow.account)
    )
    return [_to_episode(*row) for row in session.execute(query)]


def record_returns(session: Session, returns: Sequence[tuple[Episode, Return]]) -> None:
    """Close episodes by the returns that ended them."""
    if returns:
        gate.before_a_no(session)
    for episode, found in returns:
        session.execute(
            update(EpisodeRow)
            .where(EpisodeRow.id == episode.id, EpisodeRow.returned_at.is_(None))
            .values(returned_at=found.at, return_kind=found.kind)
        )


_COLUMNS = (
    EpisodeRow.id,
    EpisodeRow.account,
    EpisodeRow.sequence,
    EpisodeRow.churned_at,
    EpisodeRow.returned_at,
    EpisodeRow.return_kind,
)


def _to_episode(
    id_: int,
    account: str,
    sequence: int,
    churned_at: datetime,
    returned_at: datetime | None,
    kind: str | None,
) -> Episode:
    return_kind = ReturnKind(kind) if kind else None
    return Episode(id_, account, sequence, churned_at, returned_at, return_kind)
