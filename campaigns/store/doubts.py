"""Messages in doubt: SES may or may not have taken them."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.domain.values import HeldMessage
from campaigns.domain.words import MessageState
from campaigns.errors import ActionRefusedError, NotFoundError
from campaigns.store import meters
from campaigns.store.messages import move
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import EnrolmentRow


def in_doubt(session: Session) -> list[HeldMessage]:
    """Return the messages whose fate is not known, oldest first."""
    query = (
        select(MessageRow, EnrolmentRow.account)
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .where(MessageRow.state.in_((MessageState.UNKNOWN, MessageState.HELD)))
        .order_by(MessageRow.posted_at, MessageRow.id)
    )
    return [
        HeldMessage(
            row.id,
            row.campaign,
            account,
            row.step,
            MessageState(row.state),
            row.posted_at,
        )
        for row, account in session.execute(query)
    ]


def unknown(session: Session) -> list[tuple[int, datetime]]:
    """Return the unknown messages, and when each was posted, oldest first."""
    query = (
        select(MessageRow.id, MessageRow.posted_at)
        .where(MessageRow.state == MessageState.UNKNOWN)
        .order_by(MessageRow.posted_at, MessageRow.id)
    )
    return [(id_, posted_at) for id_, posted_at in session.execute(query) if posted_at]


def hold_unknown(session: Session, message: int, *, now: datetime) -> bool:
    """Hold a message for a person to decide if it is unknown; say whether it was."""
    return move(
        session,
        message,
        MessageState.UNKNOWN,
        MessageState.HELD,
        reason="no event came although events flow: SES most likely never took it",
        settled_at=now,
    )


def held_of(session: Session, campaign: str) -> list[int]:
    """Return a campaign's held messages, by number."""
    query = select(MessageRow.id).where(
        MessageRow.campaign == campaign, MessageRow.state == MessageState.HELD
    )
    return sorted(session.scalars(query))


def decide_held(
    session: Session, message: int, to: MessageState, *, now: datetime
) -> None:
    """Carry out a person's decision on a held message: send again, or give it up.

    Raises:
        NotFoundError: There is no such message.
        ActionRefusedError: It is not held.
    """
    row = session.get(MessageRow, message)
    if row is None:
        raise NotFoundError(f"there is no message {message}; see `winback held list`")
    changes: dict[str, object] = {"settled_at": now, "reason": "given up by a person"}
    if to is MessageState.PLANNED:
        changes = {"due_at": now, "settled_at": None, "reason": None}
    if not move(session, message, MessageState.HELD, to, **changes):
        raise ActionRefusedError(
            f"message {message} is {row.state}, not held; only held ones are decided on"
        )
    # Nothing of it is out, as far as anybody knows.
    meters.take_off(session, [message], now=now)
