"""Attempts: committed before a POST, completed after it, never changed again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import (
    ColumnElement,
    String,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from campaigns.domain.values import GateFacts, Posted
from campaigns.domain.words import MessageState
from campaigns.rules.message_state import IN_DOUBT
from campaigns.store.by_database import ByDatabase
from campaigns.store.messages import IN_HAND, move_all, stands_at
from campaigns.store.tables.base import UtcDateTime
from campaigns.store.tables.delivery import AttemptRow, MessageRow

_UNCLEAR_IN_A_ROW: Final = 20


def begin(
    session: Session, messages: Sequence[GateFacts], *, worker: str, now: datetime
) -> dict[int, int]:
    """Take claimed messages to `posting` and write an attempt of each.

    Returns:
        The attempts' ids by message; those whose lease is not ours any more are absent.
    """
    connection = session.connection()
    claimed = {"ids": [facts.message for facts in messages], "of": worker, "at": now}
    ours = connection.scalars(_TO_POSTING.on(connection), claimed).all()
    if not ours:
        return {}
    begun = connection.execute(
        _BEGUN.on(connection), {"ids": ours, "of": worker, "at": now}
    )
    return dict(begun.all())


_TO_POSTING: Final = ByDatabase(
    lambda words: (
        update(MessageRow)
        .where(
            words.is_listed(MessageRow.id, "ids"),
            stands_at(MessageState.CLAIMED),
            MessageRow.leased_by == bindparam("of"),
            MessageRow.leased_until > bindparam("at"),
        )
        .values(
            state=MessageState.POSTING,
            leased_until=None,
            posted_at=bindparam("at"),
            settled_at=None,
        )
        .returning(MessageRow.id)
    )
)
_earlier = (
    select(func.coalesce(func.max(AttemptRow.number), 0))
    .where(AttemptRow.message == MessageRow.id)
    .correlate(MessageRow)
    .scalar_subquery()
)
_BEGUN: Final = ByDatabase(
    lambda words: (
        insert(AttemptRow)
        .from_select(
            ["message", "number", "worker", "posted_at"],
            select(
                MessageRow.id,
                _earlier + 1,
                bindparam("of", type_=String),
                bindparam("at", type_=UtcDateTime),
            )
            .where(words.is_listed(MessageRow.id, "ids"))
            .order_by(MessageRow.id),
        )
        .returning(AttemptRow.message, AttemptRow.id)
    )
)


def settle(session: Session, posted: Sequence[Posted], *, now: datetime) -> list[int]:
    """Record what became of attempts; those that are recorded are left alone.

    If an event settled a message meanwhile, only its attempt is completed.

    Returns:
        The messages of which nothing is out, by what was recorded just now.
    """
    accepted = [each for each in posted if each.state is MessageState.ACCEPTED]
    if accepted:
        _settle_accepted(session, accepted, now)
    others = [each for each in posted if each.state is not MessageState.ACCEPTED]
    moved = [each for each in others if _settle_other(session, each, now)]
    return [each.message for each in moved if each.state is not MessageState.UNKNOWN]


def _settle_accepted(
    session: Session, accepted: Sequence[Posted], now: datetime
) -> None:
    """Record all in two statements: most answers are of this kind."""
    connection = session.connection()
    answers = {str(each.message): each.ses_message_id for each in accepted}
    attempts = [each.attempt for each in accepted]
    messages = {
        "ids": [each.message for each in accepted],
        "attempts": attempts,
        "answers": orjson.dumps(answers).decode(),
        "at": now,
    }
    connection.execute(_ACCEPTED.on(connection), messages)
    answered = {"of": attempts, "at": now, "to": MessageState.ACCEPTED, "why": None}
    connection.execute(_ANSWERED.on(connection), answered)


def _settle_other(session: Session, posted: Posted, now: datetime) -> bool:
    changes: dict[str, object] = {"reason": posted.reason, "settled_at": now}
    if posted.state is MessageState.PLANNED:
        changes = {"due_at": posted.not_before or now}
    connection = session.connection()
    moved = connection.scalars(
        update(MessageRow)
        .where(
            MessageRow.id == posted.message,
            MessageRow.state == MessageState.POSTING,
            _is_unanswered(AttemptRow.id == posted.attempt),
        )
        .values(state=posted.state, leased_by=None, **changes)
        .returning(MessageRow.id)
    ).all()
    answer = {"to": posted.state, "why": posted.reason, "at": now}
    answered = {"of": [posted.attempt], **answer}
    connection.execute(_ANSWERED.on(connection), answered)
    return bool(moved)


def _is_unanswered(of: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        AttemptRow.message == MessageRow.id, of, AttemptRow.answered_at.is_(None)
    )


_ACCEPTED: Final = ByDatabase(
    lambda words: (
        update(MessageRow)
        .where(
            words.is_listed(MessageRow.id, "ids"),
            stands_at(*sorted(IN_DOUBT)),
            _is_unanswered(words.is_listed(AttemptRow.id, "attempts")),
        )
        .values(
            state=MessageState.ACCEPTED,
            leased_by=None,
            reason=None,
            settled_at=bindparam("at"),
            ses_message_id=words.looked_up("answers", MessageRow.id),
        )
    )
)
_ANSWERED: Final = ByDatabase(
    lambda words: (
        update(AttemptRow)
        .where(
            words.is_listed(AttemptRow.id, "of"),
            AttemptRow.answered_at.is_(None),
        )
        .values(
            answered_at=bindparam("at"), answer=bindparam("to"), detail=bindparam("why")
        )
    )
)


def take_back(
    session: Session, messages: Collection[int], *, worker: str, now: datetime
) -> list[int]:
    """Plan again what a lost commit took to `posting`: none of it was posted.

    Returns:
        The messages that were.
    """
    attempts = session.execute(
        select(MessageRow.id, AttemptRow.id)
        .join(AttemptRow, AttemptRow.message == MessageRow.id)
        .where(
            MessageRow.id.in_(messages),
            stands_at(MessageState.POSTING),
            MessageRow.leased_by == worker,
            AttemptRow.answered_at.is_(None),
        )
    )
    reason = "never posted: whether the attempt was committed was not known"
    planned = MessageState.PLANNED
    taken = [Posted(of, attempt, planned, reason=reason) for of, attempt in attempts]
    return settle(session, taken, now=now)


def workers_in_hand(session: Session) -> list[str]:
    """Return the workers that have messages claimed or are posting some."""
    query = select(MessageRow.leased_by).where(MessageRow.state.in_(IN_HAND))
    return sorted(name for name in session.scalars(query.distinct()) if name)


def unclear_in_a_row(session: Session) -> int | None:
    """Return how many answers in a row left open what became of mails, if too many."""
    latest = (
        select(AttemptRow.answer)
        .where(AttemptRow.answered_at.is_not(None))
        .order_by(AttemptRow.id.desc())
        .limit(_UNCLEAR_IN_A_ROW)
    )
    unclear = list(session.scalars(latest)).count(MessageState.UNKNOWN)
    return unclear if unclear == _UNCLEAR_IN_A_ROW else None


def last_posted_by(session: Session, *, after: int) -> str | None:
    """Return who posted the last of the mails that SES took above a number, if any."""
    query = (
        select(AttemptRow.worker)
        .where(AttemptRow.id > after, AttemptRow.answer == MessageState.ACCEPTED)
        .order_by(AttemptRow.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def sweep(session: Session, worker: str, *, now: datetime) -> tuple[int, int]:
    """Put right what a worker left that is known to be dead.

    Returns:
        How many claims went back to planned, and how many postings became unknown.
    """
    claimed = _in_hand_of(session, worker, MessageState.CLAIMED)
    move_all(session, claimed, MessageState.CLAIMED, MessageState.PLANNED)
    posting = _in_hand_of(session, worker, MessageState.POSTING)
    move_all(
        session,
        posting,
        MessageState.POSTING,
        MessageState.UNKNOWN,
        {
            "reason": "the sender ended before SES's answer was recorded",
            "settled_at": now,
        },
    )
    return len(claimed), len(posting)


def _in_hand_of(session: Session, worker: str, state: MessageState) -> list[int]:
    query = select(MessageRow.id).where(
        MessageRow.state == state, MessageRow.leased_by == worker
    )
    return list(session.scalars(query))
