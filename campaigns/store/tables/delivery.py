"""Messages, the attempts to post them, and what SES and people said."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from campaigns.domain.words import (
    Delivery,
    MessageState,
    SkipReason,
    SuppressionReason,
)
from campaigns.store.tables.base import HASH, ID, PERSONAL, WORD, Base, one_of

# SQLite counts up by itself only for plain INTEGER keys.
BIG = BigInteger().with_variant(Integer, "sqlite")


class MessageRow(Base):
    """One planned mail: the row that the whole delivery turns on."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("enrolment", "step"),
        # A second contact row with the same address is not a second mail.
        UniqueConstraint(
            "campaign", "step", "address_hash", "episode", name="uq_messages_address"
        ),
        CheckConstraint(one_of("state", MessageState), name="state"),
        CheckConstraint(one_of("delivery", Delivery), name="delivery"),
        CheckConstraint("state != 'skipped' OR reason IS NOT NULL", name="reason"),
        CheckConstraint(
            f"state != 'skipped' OR {one_of('reason', SkipReason)}", name="skip_reason"
        ),
        CheckConstraint(
            "(state = 'claimed') = (leased_until IS NOT NULL)", name="lease"
        ),
        Index("ix_messages_due", "state", "campaign", "due_at", "id"),
    )

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    enrolment: Mapped[int] = mapped_column(ForeignKey("enrolments.id"))
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.name"))
    episode: Mapped[int] = mapped_column(ForeignKey("episodes.id"))
    step: Mapped[int]
    template: Mapped[str] = mapped_column(ID)
    # The text as the campaign names it, where it was drawn among several.
    variant: Mapped[str | None] = mapped_column(ID)
    contact: Mapped[str] = mapped_column(ForeignKey("contacts.id"))
    address_hash: Mapped[str] = mapped_column(HASH, index=True)
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(WORD, default=MessageState.PLANNED)
    reason: Mapped[str | None] = mapped_column(String(500))
    leased_until: Mapped[datetime | None]
    leased_by: Mapped[str | None] = mapped_column(ID)
    posted_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    ses_message_id: Mapped[str | None] = mapped_column(ID)
    delivery: Mapped[str] = mapped_column(WORD, default=Delivery.NONE)


class AttemptRow(Base):
    """One POST to SES: written before it, completed after it, never changed again."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("message", "number"),)

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    message: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    number: Mapped[int]
    worker: Mapped[str] = mapped_column(ID)
    posted_at: Mapped[datetime] = mapped_column(index=True)
    answered_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(WORD)
    detail: Mapped[str | None] = mapped_column(String(500))


class EventRow(Base):
    """What SES said, translated, with the raw body beside it."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("envelope_id"), UniqueConstraint("natural_key"))

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    envelope_id: Mapped[str] = mapped_column(ID)
    natural_key: Mapped[str] = mapped_column(HASH)
    kind: Mapped[str | None] = mapped_column(WORD)
    message: Mapped[int | None] = mapped_column(ForeignKey("messages.id"), index=True)
    at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    is_machine: Mapped[bool]
    bounce: Mapped[str | None] = mapped_column(WORD)
    raw: Mapped[str] = mapped_column(Text, info=PERSONAL)


class SnoozeRow(Base):
    """An address that asked for a rest, known only by its keyed hash."""

    __tablename__ = "snoozes"

    address_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    until: Mapped[datetime]


class SuppressionRow(Base):
    """An address that may not be written to, known only by its keyed hash."""

    __tablename__ = "suppressions"
    __table_args__ = (
        CheckConstraint(one_of("reason", SuppressionReason), name="reason"),
    )

    address_hash: Mapped[str] = mapped_column(HASH, primary_key=True)
    reason: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime]
    message: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
