"""Runs, models, and this instance itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from campaigns.domain.words import ModelAction, ModelKind
from campaigns.store.tables.base import HASH, ID, WORD, Base, one_of


class RunRow(Base):
    """One run of a scheduled job; its key makes a second run of it impossible."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("job", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(ID)
    due_at: Mapped[datetime]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int]
    retry_at: Mapped[datetime | None]


class ModelVersionRow(Base):
    """A trained model that was stored, with what it was measured at."""

    __tablename__ = "model_versions"
    __table_args__ = (
        # At most one active model of a kind.
        Index(
            "uq_model_versions_active",
            "kind",
            unique=True,
            sqlite_where=text("is_active"),
            postgresql_where=text("is_active"),
        ),
    )

    version: Mapped[str] = mapped_column(HASH, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    path: Mapped[str] = mapped_column(Text)
    trained_at: Mapped[datetime]
    is_active: Mapped[bool] = mapped_column(Boolean)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")


class ModelDecisionRow(Base):
    """What was decided about a model, when and why; never changed.

    Attributes:
        id: In the order of the decisions.
        kind: Of the model: segments, propensity or uplift.
        version: Which; None where none is used from then on.
        action: trained, promoted, rolled back, or retired.
        at: When.
        because: Why, with the numbers.
    """

    __tablename__ = "model_decisions"
    __table_args__ = (
        CheckConstraint(one_of("kind", ModelKind), name="kind"),
        CheckConstraint(one_of("action", ModelAction), name="action"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    version: Mapped[str | None] = mapped_column(HASH)
    action: Mapped[str] = mapped_column(WORD)
    at: Mapped[datetime]
    because: Mapped[str] = mapped_column(Text)


class SnapshotRow(Base):
    """A table of features that scores were made from; it lies in a file."""

    __tablename__ = "feature_snapshots"

    as_of: Mapped[datetime] = mapped_column(primary_key=True)
    definition: Mapped[str] = mapped_column(WORD)
    content_hash: Mapped[str] = mapped_column(HASH)
    accounts: Mapped[int]
    file: Mapped[str] = mapped_column(Text)
    drift: Mapped[list[dict[str, Any]]]


class ReportRow(Base):
    """A week's report as it was made: what changes later does not change it."""

    __tablename__ = "reports"

    week: Mapped[str] = mapped_column(WORD, primary_key=True)
    as_of: Mapped[datetime]
    made_at: Mapped[datetime]
    content: Mapped[str] = mapped_column(Text)


class InstanceRow(Base):
    """This database: who it is, and what it last knew of the event pipeline."""

    __tablename__ = "instance"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime]
    epoch: Mapped[int] = mapped_column(default=0)
    waits_because: Mapped[str | None] = mapped_column(Text)
    simulated_until: Mapped[datetime | None]
    queue_empty_at: Mapped[datetime | None]
    last_send_mailed_at: Mapped[datetime | None]
    canary_posted_at: Mapped[datetime | None]
    alive_at: Mapped[datetime | None]
    returns_known_until: Mapped[datetime | None]
    returns_known_import: Mapped[int | None]


class ChangesRow(Base):
    """How many transactions told this database of noes, returns, events or imports."""

    __tablename__ = "changes"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class AllowanceRow(Base):
    """How many mails may go out: one row that all workers share."""

    __tablename__ = "allowance"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kept: Mapped[dict[str, Any]]
