"""Events of SES: each kept once, with its raw body, and applied to its message."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from campaigns.domain.values import UNREAD, ProviderEvent, ReceivedEvent, Recipient
from campaigns.domain.words import Bounce, Delivery, EventKind, MessageState
from campaigns.rules.delivery import PROVES_ACCEPTANCE, Try, delivery_after
from campaigns.rules.message_state import SETTLED_BY_EVENT
from campaigns.store import changes
from campaigns.store.by_database import ByDatabase
from campaigns.store.matching import Match, match
from campaigns.store.messages import move
from campaigns.store.tables.delivery import EventRow, MessageRow
from campaigns.store.upserts import insert_all

_PARKED: Final = "parked-"
_UNMATCHED: Final = "unmatched-"


def park(session: Session, received: ReceivedEvent, *, now: datetime) -> None:
    """Keep an event that cannot be taken, as it came, so that it stops no other."""
    # PostgreSQL's text holds no NUL; that it was one is to be seen all the same.
    raw = received.raw.replace("\x00", "\\u0000")
    key = blake2b(received.raw.encode(), digest_size=16).hexdigest()
    row = {"envelope_id": _PARKED + key, "natural_key": _PARKED + key, "raw": raw}
    nothing = dict.fromkeys(("kind", "message", "at", "bounce"))
    values = {**row, **nothing, "received_at": now, "is_machine": False}
    insert_all(session, EventRow, [values])


def count_not_taken(session: Session) -> int:
    """Return how many events could not be taken, or were not understood."""
    envelope = EventRow.envelope_id
    is_kept_only = or_(envelope.startswith(_PARKED), envelope.startswith(UNREAD))
    return session.scalar(select(func.count()).where(is_kept_only)) or 0


class KnownEvent(NamedTuple):
    """An event that is kept.

    Attributes:
        event: What SES said.
        message: The message of ours that it speaks of; None where there is none.
        recipient: Whose mail it speaks of; None if the mail is not ours.
            A database that was restored may not know its message.
    """

    event: ProviderEvent
    message: int | None
    recipient: Recipient | None


def keep(
    session: Session, received: Sequence[ReceivedEvent], *, instance: str, now: datetime
) -> tuple[list[KnownEvent], int]:
    """Keep those events that were not kept before.

    The same event comes more than once in two ways: the same envelope again, or a new
    envelope around the same content; each has a unique key.

    Returns:
        The new ones that were understood, and how many are new in all.
    """
    of = match(session, received, instance=instance)
    keys = [_key(*each) for each in zip(received, of, strict=True)]
    known = _known(session, keys, [each.envelope_id for each in received])
    rows, new = [], []
    for each, key, to in zip(received, keys, of, strict=True):
        if key in known or each.envelope_id in known:
            continue
        known |= {key, each.envelope_id}
        rows.append(_row(each, key, to.message, now))
        if each.event is not None:
            new.append(KnownEvent(each.event, to.message, to.recipient))
    insert_all(session, EventRow, rows)
    if rows:
        changes.note(session)
    return new, len(rows)


def _known(session: Session, keys: Sequence[str], envelopes: Sequence[str]) -> set[str]:
    """Return which natural keys and envelopes are kept already."""
    connection = session.connection()
    return {
        *connection.scalars(_KEYS.on(connection), {"some": keys}),
        *connection.scalars(_ENVELOPES.on(connection), {"some": envelopes}),
    }


_KEYS: Final = ByDatabase(
    lambda words: select(EventRow.natural_key).where(
        words.is_listed(EventRow.natural_key, "some")
    )
)
_ENVELOPES: Final = ByDatabase(
    lambda words: select(EventRow.envelope_id).where(
        words.is_listed(EventRow.envelope_id, "some")
    )
)


def _row(
    received: ReceivedEvent, key: str, message: int | None, now: datetime
) -> dict[str, object]:
    event = received.event
    return {
        "envelope_id": received.envelope_id,
        "natural_key": key,
        "kind": event.kind if event else None,
        "message": message,
        "at": event.at if event else None,
        "received_at": now,
        "is_machine": event.is_machine if event else False,
        "bounce": event.bounce if event else None,
        "raw": received.raw,
    }


def _key(received: ReceivedEvent, of: Match) -> str:
    """Return what an event is known again by.

    One that names no message that is known yet may come again, and then name one.
    """
    key = natural_key(received)
    return _UNMATCHED + key if of.is_untagged and of.recipient is None else key


def natural_key(received: ReceivedEvent) -> str:
    """Return what an event is known again by, whatever envelope it comes in."""
    event = received.event
    parts = ["unread", received.raw]
    if event is not None:
        at, to = event.at.isoformat(), ",".join(event.recipients)
        parts = [event.ses_message_id, event.kind or "", to, at, event.link or ""]
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def apply(session: Session, new: Iterable[KnownEvent], *, now: datetime) -> None:
    """Let messages know what events say of them; never moves one backwards."""
    of_messages: dict[int, list[ProviderEvent]] = {}
    for event, message, _ in new:
        if message is not None and event.kind is not None:
            of_messages.setdefault(message, []).append(event)
    connection = session.connection()
    listed = {"some": list(of_messages)}
    rows = connection.execute(_STANDING.on(connection), listed)
    changed: dict[Delivery, list[int]] = {}
    for message, state, before in rows.all():
        events = of_messages[message]
        _settle(session, message, MessageState(state), events, now)
        delivery = Delivery(before)
        for event in events:
            delivery = delivery_after(delivery, event)
        if delivery != before:
            changed.setdefault(delivery, []).append(message)
    for delivery, messages in changed.items():
        values = {"some": messages, "new": delivery}
        connection.execute(_DELIVERY.on(connection), values)


_STANDING: Final = ByDatabase(
    lambda words: (
        select(MessageRow.id, MessageRow.state, MessageRow.delivery)
        .where(words.is_listed(MessageRow.id, "some"))
        .order_by(MessageRow.id)
        .with_for_update()
    )
)
_DELIVERY: Final = ByDatabase(
    lambda words: (
        update(MessageRow)
        .where(words.is_listed(MessageRow.id, "some"))
        .values(delivery=bindparam("new"))
    )
)


def _settle(
    session: Session,
    message: int,
    state: MessageState,
    events: Iterable[ProviderEvent],
    now: datetime,
) -> None:
    """Take a message in doubt to `accepted` if an event proves that it was taken."""
    proof = next((each for each in events if each.kind in PROVES_ACCEPTANCE), None)
    if proof is None or state not in SETTLED_BY_EVENT:
        return
    if state is MessageState.POSTING:
        move(session, message, state, MessageState.UNKNOWN, settled_at=now)
        state = MessageState.UNKNOWN
    move(
        session,
        message,
        state,
        MessageState.ACCEPTED,
        ses_message_id=proof.ses_message_id,
        settled_at=now,
        reason="settled by an event",
    )


def tries(session: Session, message: int) -> list[Try]:
    """Return which mails to a message's address arrived or bounced softly."""
    to = aliased(MessageRow)
    query = (
        select(EventRow.at, EventRow.message, EventRow.kind)
        .join(MessageRow, MessageRow.id == EventRow.message)
        .join(to, to.address_hash == MessageRow.address_hash)
        .where(
            to.id == message,
            or_(EventRow.kind == EventKind.DELIVERY, EventRow.bounce == Bounce.SOFT),
        )
    )
    return [
        Try(at, of, arrived=kind == EventKind.DELIVERY)
        for at, of, kind in session.execute(query)
        if at is not None and of is not None
    ]


def people_who_clicked(session: Session, campaign: str) -> int:
    """Return how many messages had a link opened by a person, scanners left out."""
    query = (
        select(func.count(EventRow.message.distinct()))
        .join(MessageRow, MessageRow.id == EventRow.message)
        .where(
            MessageRow.campaign == campaign,
            EventRow.kind == EventKind.CLICK,
            EventRow.is_machine.is_(False),
        )
    )
    return session.scalar(query) or 0
