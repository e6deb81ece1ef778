"""Events of SES: each kept once, with its raw body, and applied to its message."""

from datetime import datetime
from hashlib import blake2b

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session, aliased

from campaigns.domain.values import ProviderEvent, ReceivedEvent
from campaigns.domain.words import Bounce, Delivery, EventKind, MessageState
from campaigns.rules.delivery import PROVES_ACCEPTANCE, Try, delivery_after
from campaigns.rules.message_state import SETTLED_BY_EVENT
from campaigns.store.messages import move
from campaigns.store.tables.delivery import EventRow, MessageRow
from campaigns.store.upserts import insert_new

_LONGEST_NUMBER = 18  # digits that every database's integers hold


def keep(
    session: Session, received: ReceivedEvent, *, message: int | None, now: datetime
) -> bool:
    """Keep an event unless it was kept before; say whether it is new.

    The same event comes more than once in two ways: the same envelope again, or a new
    envelope around the same content; each has a unique key.
    """
    event = received.event
    return insert_new(
        session,
        EventRow,
        {
            "envelope_id": received.envelope_id,
            "natural_key": natural_key(received),
            "kind": event.kind if event else None,
            "message": message,
            "at": event.at if event else None,
            "received_at": now,
            "is_machine": event.is_machine if event else False,
            "bounce": event.bounce if event else None,
            "raw": received.raw,
        },
    )


def natural_key(received: ReceivedEvent) -> str:
    """Return what an event is known again by, whatever envelope it comes in."""
    event = received.event
    parts = (
        (event.ses_message_id, event.kind, event.recipients, event.at, event.link)
        if event
        else ("unread", received.raw)
    )
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def find_message(
    session: Session, event: ProviderEvent, *, instance: str
) -> int | None:
    """Return the message that an event speaks of, by our tag; None if not ours."""
    if event.tags.get("wb_instance") != instance:
        return None
    tag = event.tags.get("wb_message", "")
    if not (tag.isascii() and tag.isdigit() and len(tag) <= _LONGEST_NUMBER):
        return None
    return session.scalar(select(MessageRow.id).where(MessageRow.id == int(tag)))


def apply(
    session: Session, message: int, event: ProviderEvent, *, now: datetime
) -> None:
    """Let a message know what an event says of it; never moves it backwards."""
    if event.kind is None:
        return
    row = session.get_one(MessageRow, message, with_for_update=True)
    state = MessageState(row.state)
    if event.kind in PROVES_ACCEPTANCE and state in SETTLED_BY_EVENT:
        if state is MessageState.POSTING:
            move(session, message, state, MessageState.UNKNOWN, settled_at=now)
            state = MessageState.UNKNOWN
        move(
            session,
            message,
            state,
            MessageState.ACCEPTED,
            ses_message_id=event.ses_message_id,
            settled_at=now,
            reason="settled by an event",
        )
    delivery = delivery_after(Delivery(row.delivery), event.kind)
    session.execute(
        update(MessageRow).where(MessageRow.id == message).values(delivery=delivery)
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
