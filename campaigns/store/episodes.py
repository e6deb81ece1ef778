"""Episodes: one absence of an account, from its churn to its return."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import Episode, Return
from campaigns.domain.words import ReturnKind
from campaigns.store import gate
from campaigns.store.tables.programme import EpisodeRow

_AT_ONCE: Final = 10_000


def record_churn(
    session: Session, churned_at: Mapping[str, datetime], *, definition: str
) -> int:
    """Open an episode for each account that has none open; return how many.

    A new one opens only after a recorded return and only for a later churn; otherwise
    a changed definition or late data merely moves the open episode's date.
    """
    sequences = dict.fromkeys(churned_at, 1)
    moved: list[dict[str, object]] = []
    for last in _latest(session):
        moment = churned_at.get(last.account)
        if moment is None:
            continue
        if last.returned_at is not None and moment > last.returned_at:
            sequences[last.account] = last.sequence + 1
            continue
        del sequences[last.account]
        was = last.churned_at, last.definition
        if last.returned_at is None and was != (moment, definition):
            moved.append(
                {"id": last.id, "churned_at": moment, "definition": definition}
            )
    opened = [
        {
            "account": account,
            "sequence": sequence,
            "churned_at": churned_at[account],
            "definition": definition,
        }
        for account, sequence in sorted(sequences.items())
    ]
    if moved:
        session.execute(update(EpisodeRow), moved)
    if opened:
        session.execute(insert(EpisodeRow), opened)
    return len(opened)


def _latest(
    session: Session,
) -> Iterator[Row[int, str, int, datetime, datetime | None, str]]:
    """Yield each account's latest episode."""
    query = select(
        EpisodeRow.id,
        EpisodeRow.account,
        EpisodeRow.sequence,
        EpisodeRow.churned_at,
        EpisodeRow.returned_at,
        EpisodeRow.definition,
    ).order_by(EpisodeRow.account, EpisodeRow.sequence)
    rows = session.execute(query.execution_options(yield_per=_AT_ONCE))
    for _, of_account in groupby(rows, key=attrgetter("account")):
        *_, last = of_account
        yield last


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
