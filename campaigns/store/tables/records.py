"""What sources brought in. Usage is not here: it lies in the Parquet lake."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from campaigns.domain.words import EndKind
from campaigns.store.tables.base import HASH, ID, PERSONAL, WORD, Base, one_of


class ImportedRow:
    """What every imported row carries: a hash of its values, to see a change by."""

    content_hash: Mapped[str] = mapped_column(HASH)


class AccountRow(ImportedRow, Base):
    """A company."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime | None]
    persona: Mapped[str | None] = mapped_column(String(500))
    account_segment: Mapped[str | None] = mapped_column(String(500))
    country: Mapped[str | None] = mapped_column(String(500))
    time_zone: Mapped[str | None] = mapped_column(WORD)
    locale: Mapped[str | None] = mapped_column(String(500))
    attributes: Mapped[dict[str, Any]]


class ContactRow(ImportedRow, Base):
    """A person at a company."""

    __tablename__ = "contacts"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    email: Mapped[str] = mapped_column(String(320), info=PERSONAL)
    address_hash: Mapped[str] = mapped_column(HASH, index=True)
    first_name: Mapped[str | None] = mapped_column(String(500), info=PERSONAL)
    last_name: Mapped[str | None] = mapped_column(String(500), info=PERSONAL)
    role: Mapped[str | None] = mapped_column(String(500), info=PERSONAL)
    is_admin: Mapped[bool]
    last_active_at: Mapped[datetime | None]
    country: Mapped[str | None] = mapped_column(String(500))
    time_zone: Mapped[str | None] = mapped_column(WORD)
    locale: Mapped[str | None] = mapped_column(String(500))
    consent_basis: Mapped[str | None] = mapped_column(String(500))
    consent_at: Mapped[datetime | None]
    consent_evidence: Mapped[str | None] = mapped_column(String(500), info=PERSONAL)


class SubscriptionRow(ImportedRow, Base):
    """A contract of an account."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name="order"),
        CheckConstraint("mrr_minor IS NULL OR mrr_minor >= 0", name="mrr"),
        CheckConstraint(
            f"end_kind IS NULL OR {one_of('end_kind', EndKind)}", name="end_kind"
        ),
        # Few have one: the others cost nothing.
        Index(
            "ix_subscriptions_resumed_as",
            "resumed_as",
            sqlite_where=text("resumed_as IS NOT NULL"),
            postgresql_where=text("resumed_as IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    plan: Mapped[str] = mapped_column(String(500))
    plan_is_free: Mapped[bool]
    seats: Mapped[int | None]
    mrr_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_kind: Mapped[str | None] = mapped_column(WORD)
    end_reason: Mapped[str | None] = mapped_column(String(500))
    discount_minor: Mapped[int | None] = mapped_column(BigInteger)
    merged_into: Mapped[str | None] = mapped_column(ID)
    resumed_as: Mapped[str | None] = mapped_column(ID)
    resumed_at: Mapped[datetime | None]


class TicketRow(ImportedRow, Base):
    """A support ticket."""

    __tablename__ = "tickets"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    topic: Mapped[str | None] = mapped_column(String(500))


class NpsRow(ImportedRow, Base):
    """An answer to "would you recommend us?", 0 to 10."""

    __tablename__ = "nps_answers"
    __table_args__ = (
        UniqueConstraint("account", "at", "contact"),
        CheckConstraint("score BETWEEN 0 AND 10", name="score"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime]
    score: Mapped[int]
    # Empty where it is not known: databases hold no null to be equal to another.
    contact: Mapped[str] = mapped_column(ID)


class MailingRow(ImportedRow, Base):
    """A mail that another tool sent to somebody at an account, to win it back."""

    __tablename__ = "mailings"
    __table_args__ = (UniqueConstraint("account", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[datetime]


class LabelRow(ImportedRow, Base):
    """What a person says an account's segment was, as of a date."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("account", "as_of", "by"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    segment: Mapped[str] = mapped_column(ID)
    as_of: Mapped[datetime]
    by: Mapped[str] = mapped_column(ID)
    note: Mapped[str | None] = mapped_column(String(500))


class ReleaseRow(ImportedRow, Base):
    """A dated change of the product."""

    __tablename__ = "releases"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    date: Mapped[date]
    title: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]]
    url: Mapped[str | None] = mapped_column(Text)


class ImportRunRow(Base):
    """One import of one file, and what became of its rows."""

    __tablename__ = "import_runs"
    __table_args__ = (Index("ix_import_runs_kind_finished", "kind", "finished_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(HASH)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    taken: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
