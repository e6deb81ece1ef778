"""Attempts: committed before a POST, completed after it, never changed again."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from campaigns.domain.values import Posted
from campaigns.domain.words import MessageState
from campaigns.rules.message_state import SETTLED_BY_EVENT
from campaigns.store.messages import IN_HAND, move_all
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.tables.records import ContactRow


def begin(
    session: Session, messages: Sequence[int], *, worker: str, now: datetime
) -> dict[int, int]:
    """Take claimed messages to `posting` and write an attempt of each.

    Returns:
        The attempts' ids by message; those whose lease is not ours any more are absent.
    """
    address = select(ContactRow.address_hash).where(ContactRow.id == MessageRow.contact)
    ours = session.scalars(
        update(MessageRow)
        .where(
            MessageRow.id.in_(messages),
            MessageRow.state == MessageState.CLAIMED,
            MessageRow.leased_by == worker,
            MessageRow.leased_until > now,
        )
        .values(
            state=MessageState.POSTING,
            leased_until=None,
            posted_at=now,
            settled_at=None,
            # The address it goes to, which may have changed since the enrolment: what
            # comes back (a bounce, an unsubscribe) is about this one.
            address_hash=address.scalar_subquery(),
        )
        .returning(MessageRow.id)
    ).all()
    if not ours:
        return {}
    earlier = (
        select(AttemptRow.message, func.max(AttemptRow.number))
        .where(AttemptRow.message.in_(ours))
        .group_by(AttemptRow.message)
    )
    numbers = dict(session.execute(earlier).all())
    written = session.execute(
        insert(AttemptRow).returning(AttemptRow.message, AttemptRow.id),
        [
            {
                "message": message,
                "number": numbers.get(message, 0) + 1,
                "worker": worker,
                "posted_at": now,
            }
            for message in ours
        ],
    )
    return dict(written.all())


def settle(session: Session, posted: Sequence[Posted], *, now: datetime) -> None:
    """Record what became of attempts; those that are recorded are left alone.

    If an event settled a message meanwhile, only its attempt is completed.
    """
    unanswered = exists().where(
        AttemptRow.id == bindparam("of_attempt"), AttemptRow.answered_at.is_(None)
    )
    for state, some in _by_state(posted).items():
        before = SETTLED_BY_EVENT if state is MessageState.ACCEPTED else _POSTING
        session.connection().execute(
            update(MessageRow)
            .where(
                MessageRow.id == bindparam("of_message"),
                or_(*(MessageRow.state == each for each in sorted(before))),
                unanswered,
            )
            .values(leased_by=None, state=state)
            .values(
                {name: bindparam(f"new_{name}") for name in _changes(some[0], now=now)}
            ),
            [
                {"of_message": each.message, "of_attempt": each.attempt}
                | {f"new_{k}": value for k, value in _changes(each, now=now).items()}
                for each in some
            ],
        )
    session.connection().execute(
        update(AttemptRow)
        .where(AttemptRow.id == bindparam("of"), AttemptRow.answered_at.is_(None))
        .values(answered_at=now, answer=bindparam("state"), detail=bindparam("reason")),
        [
            {"of": each.attempt, "state": each.state, "reason": each.reason}
            for each in posted
        ],
    )


_POSTING = (MessageState.POSTING,)


def _by_state(posted: Sequence[Posted]) -> dict[MessageState, list[Posted]]:
    found: dict[MessageState, list[Posted]] = {}
    for each in posted:
        found.setdefault(each.state, []).append(each)
    return found


def _changes(posted: Posted, *, now: datetime) -> dict[str, object]:
    if posted.state is MessageState.PLANNED:
        return {"due_at": posted.not_before or now}
    changes: dict[str, object] = {"reason": posted.reason, "settled_at": now}
    if posted.state is MessageState.ACCEPTED:
        changes["ses_message_id"] = posted.ses_message_id
    return changes


def take_back(
    session: Session, messages: Collection[int], *, worker: str, now: datetime
) -> None:
    """Plan again what a lost commit took to `posting`: none of it was posted."""
    attempts = session.execute(
        select(MessageRow.id, AttemptRow.id)
        .join(AttemptRow, AttemptRow.message == MessageRow.id)
        .where(
            MessageRow.id.in_(messages),
            MessageRow.state == MessageState.POSTING,
            MessageRow.leased_by == worker,
            AttemptRow.answered_at.is_(None),
        )
    )
    reason = "never posted: whether the attempt was committed was not known"
    planned = MessageState.PLANNED
    taken = [Posted(of, attempt, planned, reason=reason) for of, attempt in attempts]
    if taken:
        settle(session, taken, now=now)


def workers_in_hand(session: Session) -> list[str]:
    """Return the workers that have messages claimed or are posting some."""
    query = select(MessageRow.leased_by).where(MessageRow.state.in_(IN_HAND))
    return sorted(name for name in session.scalars(query.distinct()) if name)


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
