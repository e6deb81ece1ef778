"""Messages: the ledger that the whole delivery turns on.

Every change of state names the state it starts from and is checked against the edges
of rules/message_state, so a race meets a condition and not luck.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Select,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from campaigns.domain.values import ClaimedMessage, GateFacts
from campaigns.domain.words import CampaignState, MessageState, SkipReason
from campaigns.rules.message_state import is_edge
from campaigns.store.by_database import ByDatabase
from campaigns.store.tables.delivery import (
    MessageRow,
)
from campaigns.store.tables.programme import (
    CampaignRow,
    EnrolmentRow,
    EpisodeRow,
    ScoreRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow


def move(
    session: Session,
    message: int,
    before: MessageState,
    after: MessageState,
    **changes: object,
) -> bool:
    """Take one message along an edge; say whether it still stood at its start.

    A message that leaves `claimed` loses its lease.
    """
    return bool(move_all(session, [message], before, after, changes))


def stands_at(*states: MessageState) -> ColumnElement[bool]:
    """Return that a message, one of a list of ids, is in one of some states.

    Says it of an expression, not of the column: SQLite takes a list of ids for longer
    than all messages of a state, and would go through a million that are planned.
    """
    return MessageRow.state.concat("").in_(states)


def move_all(
    session: Session,
    messages: Collection[int],
    before: MessageState,
    after: MessageState,
    changes: Mapping[str, object] = MappingProxyType({}),
    *,
    of: str | None = None,
) -> set[int]:
    """Take messages along an edge; return those that still stood at its start.

    With `of`, only those that are in that worker's hands. What is neither claimed nor
    being posted is in nobody's.
    """
    if not is_edge(before, after):
        raise AssertionError(f"there is no edge from {before} to {after}")
    values: dict[str, object] = {"state": after, **changes}
    if before is MessageState.CLAIMED:
        values["leased_until"] = None
    if after is not MessageState.POSTING and before in IN_HAND:
        values["leased_by"] = None
    statement = update(MessageRow).where(MessageRow.id.in_(messages), stands_at(before))
    if of is not None:
        statement = statement.where(MessageRow.leased_by == of)
    moved = statement.values(values).returning(MessageRow.id)
    return set(session.scalars(moved))


IN_HAND = (MessageState.CLAIMED, MessageState.POSTING)


def due(session: Session, *, now: datetime, limit: int) -> list[int]:
    """Return due messages of running campaigns, and lock their rows.

    Each campaign gets its share of `limit`, so that a large one keeps no other waiting;
    within a campaign those that are due longest come first.
    """
    waiting = _next_of_each(now)
    next_of = [(at, name) for name, at in session.execute(waiting) if at is not None]
    # Where there is not one for each, who waits longest comes first.
    names = [name for _, name in sorted(next_of)]
    share = -(-limit // max(1, len(names)))
    found: list[int] = []
    for name in names:
        query = (
            select(MessageRow.id)
            .where(
                MessageRow.campaign == name,
                MessageRow.state == MessageState.PLANNED,
                MessageRow.due_at <= now,
            )
            .order_by(MessageRow.due_at, MessageRow.id)
            .limit(min(share, limit - len(found)))
            # Ignored by SQLite, where one process sends.
            .with_for_update(skip_locked=True, of=MessageRow)
        )
        found += session.scalars(query)
    return found


def next_due_at(session: Session) -> datetime | None:
    """Return when the next message of a running campaign falls due."""
    moments = [at for _, at in session.execute(_next_of_each(None))]
    return min((moment for moment in moments if moment is not None), default=None)


def _next_of_each(until: datetime | None) -> Select[str, datetime | None]:
    """Return a query of running campaigns, each with when its next message is due."""
    first = (
        select(func.min(MessageRow.due_at))
        .where(
            MessageRow.campaign == CampaignRow.name,
            MessageRow.state == MessageState.PLANNED,
        )
        .correlate(CampaignRow)
    )
    if until is not None:
        first = first.where(MessageRow.due_at <= until)
    return (
        select(CampaignRow.name, first.scalar_subquery())
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            # One that must first learn what became of its mails is not asked.
            or_(
                CampaignRow.may_post.is_(None),
                CampaignRow.posted < CampaignRow.may_post,
            ),
        )
        .order_by(CampaignRow.name)
    )


def planned_of(session: Session, campaign: str, *, after: int, limit: int) -> list[int]:
    """Return planned messages of a campaign by id, from the first `after` one on."""
    query = (
        select(MessageRow.id)
        .where(
            MessageRow.campaign == campaign,
            MessageRow.state == MessageState.PLANNED,
            MessageRow.id > after,
        )
        .order_by(MessageRow.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def skip_closed(session: Session, *, now: datetime) -> None:
    """End planned messages whose window closed while their campaign had to wait."""
    waiting = select(CampaignRow.name).where(
        CampaignRow.state == CampaignState.RUNNING,
        CampaignRow.posted >= CampaignRow.may_post,
    )
    closed = select(EnrolmentRow.id).where(
        EnrolmentRow.campaign.in_(waiting), EnrolmentRow.window_ends_at <= now
    )
    session.execute(
        update(MessageRow)
        .where(
            MessageRow.state == MessageState.PLANNED,
            MessageRow.campaign.in_(waiting),
            MessageRow.enrolment.in_(closed),
        )
        .values(
            state=MessageState.SKIPPED,
            reason=SkipReason.WINDOW_CLOSED,
            settled_at=now,
        ),
        execution_options={"synchronize_session": False},
    )


def claim(
    session: Session, messages: Sequence[GateFacts], *, worker: str, until: datetime
) -> None:
    """Lease planned messages to `worker`."""
    planned, claimed = MessageState.PLANNED, MessageState.CLAIMED
    lease = {"leased_until": until, "leased_by": worker}
    move_all(session, [each.message for each in messages], planned, claimed, lease)
    moved = [each.message for each in messages if each.has_moved]
    if moved:
        # What comes back (a bounce, an unsubscribe) is about the address it goes to.
        connection = session.connection()
        connection.execute(_MOVED.on(connection), {"ids": moved})


_address = select(ContactRow.address_hash).where(ContactRow.id == MessageRow.contact)
_MOVED: Final = ByDatabase(
    lambda words: (
        update(MessageRow)
        .where(words.is_listed(MessageRow.id, "ids"))
        .values(address_hash=_address.scalar_subquery())
    )
)


def postpone(session: Session, messages: Collection[int], *, until: datetime) -> None:
    """Let planned messages fall due later."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id.in_(messages), stands_at(MessageState.PLANNED))
        .values(due_at=until)
    )


def read_claimed(session: Session, messages: Sequence[int]) -> list[ClaimedMessage]:
    """Return what the mails of claimed messages are made from, in the given order."""
    connection = session.connection()
    rows = connection.execute(_CLAIMED.on(connection), {"messages": list(messages)})
    found = {row["id"]: ClaimedMessage(**row) for row in rows.mappings()}
    return [found[message] for message in messages]


_CLAIMED: Final = ByDatabase(
    lambda words: (
        select(
            MessageRow.id,
            MessageRow.address_hash,
            MessageRow.campaign,
            MessageRow.step,
            MessageRow.template,
            EnrolmentRow.account,
            EnrolmentRow.segment,
            ContactRow.email.label("address"),
            ContactRow.first_name,
            AccountRow.name.label("account_name"),
            EpisodeRow.churned_at,
            ScoreRow.reasons,
            ScoreRow.facts,
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(EpisodeRow, EpisodeRow.id == MessageRow.episode)
        .join(AccountRow, AccountRow.id == EnrolmentRow.account)
        .join(ContactRow, ContactRow.id == MessageRow.contact)
        .join(ScoreRow, ScoreRow.id == EnrolmentRow.score)
        .where(words.is_listed(MessageRow.id, "messages"))
    )
)


def expire_leases(session: Session, *, now: datetime) -> None:
    """Let claims whose lease ran out be planned again: nothing was posted."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.state == MessageState.CLAIMED, MessageRow.leased_until <= now)
        .values(state=MessageState.PLANNED, leased_until=None, leased_by=None)
    )
