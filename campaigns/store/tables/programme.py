"""Who churned, what is thought of them, and who is enrolled where, in which arm."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from campaigns.domain.words import (
    Arm,
    CampaignState,
    ContactChoice,
    EnrolmentRefusal,
    ReturnKind,
)
from campaigns.store.tables.base import HASH, ID, WORD, Base, one_of


class EpisodeRow(Base):
    """One absence of an account, from its churn to its return."""

    __tablename__ = "episodes"
    __table_args__ = (
        UniqueConstraint("account", "sequence"),
        CheckConstraint(
            f"return_kind IS NULL OR {one_of('return_kind', ReturnKind)}",
            name="return_kind",
        ),
        CheckConstraint("(returned_at IS NULL) = (return_kind IS NULL)", name="return"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    sequence: Mapped[int]
    churned_at: Mapped[datetime]
    definition: Mapped[str] = mapped_column(WORD)
    returned_at: Mapped[datetime | None]
    return_kind: Mapped[str | None] = mapped_column(WORD)


class ScoreRow(Base):
    """What was thought of a churned account as of a date."""

    __tablename__ = "scores"
    __table_args__ = (
        UniqueConstraint("as_of", "account", "model"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    segment: Mapped[str] = mapped_column(ID)
    confidence: Mapped[float]
    reasons: Mapped[list[str]]
    facts: Mapped[dict[str, Any]]
    model: Mapped[str] = mapped_column(HASH)
    chance: Mapped[float | None]
    uplift: Mapped[float | None]


class CampaignRow(Base):
    """A campaign under its stable name."""

    __tablename__ = "campaigns"
    __table_args__ = (CheckConstraint(one_of("state", CampaignState), name="state"),)

    name: Mapped[str] = mapped_column(ID, primary_key=True)
    state: Mapped[str] = mapped_column(WORD)
    version: Mapped[int]
    applied_at: Mapped[datetime]
    launched_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    paused_because: Mapped[str | None] = mapped_column(String(500))
    guarded_since: Mapped[datetime | None]
    posted: Mapped[int] = mapped_column(default=0)
    posted_today: Mapped[int] = mapped_column(default=0)
    posted_on: Mapped[date | None]
    may_post: Mapped[int | None]
    model: Mapped[str | None] = mapped_column(HASH)


class CampaignVersionRow(Base):
    """One definition of a campaign, as it was applied."""

    __tablename__ = "campaign_versions"

    campaign: Mapped[str] = mapped_column(
        ForeignKey("campaigns.name"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(HASH)
    applied_at: Mapped[datetime]


class CohortRow(Base):
    """A planned enrolment of a campaign."""

    __tablename__ = "cohorts"
    __table_args__ = (UniqueConstraint("campaign", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.name"))
    number: Mapped[int]
    due_at: Mapped[datetime]
    enrolled_at: Mapped[datetime | None]
    window_ends_at: Mapped[datetime | None]
    churned: Mapped[int | None]


class HoldoutRow(Base):
    """The arm of an account in the programme: given once, kept for ever."""

    __tablename__ = "holdout"
    __table_args__ = (CheckConstraint(one_of("arm", Arm), name="arm"),)

    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    arm: Mapped[str] = mapped_column(WORD)
    stratum: Mapped[str] = mapped_column(ID)
    assigned_at: Mapped[datetime]
    # Before it was kept, None.
    holdout_chance: Mapped[float | None]


class EnrolmentRow(Base):
    """An account in a campaign, in an arm. Both arms are rows."""

    __tablename__ = "enrolments"
    __table_args__ = (
        UniqueConstraint("campaign", "account", "episode"),
        CheckConstraint(one_of("arm", Arm), name="arm"),
        CheckConstraint(one_of("contact_choice", ContactChoice), name="contact_choice"),
        # What a report counts by, in its order: without it a million rows are sorted.
        Index("ix_enrolments_groups", "cohort", "arm", "segment", "stratum", "persona"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.name"))
    campaign_version: Mapped[int]
    cohort: Mapped[int] = mapped_column(ForeignKey("cohorts.id"))
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    episode: Mapped[int] = mapped_column(ForeignKey("episodes.id"), index=True)
    contact: Mapped[str] = mapped_column(ForeignKey("contacts.id"))
    contact_choice: Mapped[str] = mapped_column(WORD)
    arm: Mapped[str] = mapped_column(WORD)
    segment: Mapped[str] = mapped_column(ID)
    stratum: Mapped[str] = mapped_column(ID)
    # As it was then: a mail could change it.
    persona: Mapped[str | None] = mapped_column(String(500))
    score: Mapped[int | None] = mapped_column(ForeignKey("scores.id"))
    enrolled_at: Mapped[datetime]
    window_ends_at: Mapped[datetime]
    # Below 1 where it was enrolled to explore, by lot.
    enrolment_chance: Mapped[float] = mapped_column(
        default=1.0, server_default=text("1")
    )


class RefusalRow(Base):
    """A churned account that a cohort did not enrol, and the one reason why."""

    __tablename__ = "enrolment_refusals"
    __table_args__ = (
        CheckConstraint(one_of("reason", EnrolmentRefusal), name="reason"),
    )

    cohort: Mapped[int] = mapped_column(ForeignKey("cohorts.id"), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(WORD)


class OutcomeRow(Base):
    """Whether an enrolled account came back, settled once its window closed."""

    __tablename__ = "outcomes"

    enrolment: Mapped[int] = mapped_column(
        ForeignKey("enrolments.id"), primary_key=True
    )
    definition: Mapped[str] = mapped_column(WORD)
    came_back: Mapped[bool]
    returned_at: Mapped[datetime | None]
    settled_at: Mapped[datetime]


class StayRow(Base):
    """Whether an account that came back was still here some days later.

    Attributes:
        enrolment: Whose outcome it is.
        days: How many days after the return.
        is_here: Whether it was still here.
        features: How many features it used by then; None where that was not looked at.
    """

    __tablename__ = "stays"

    enrolment: Mapped[int] = mapped_column(
        ForeignKey("outcomes.enrolment"), primary_key=True
    )
    days: Mapped[int] = mapped_column(primary_key=True)
    is_here: Mapped[bool]
    features: Mapped[int | None]


class VerdictRow(Base):
    """The verdict on a campaign, given once, with the counts it was given on."""

    __tablename__ = "verdicts"

    campaign: Mapped[str] = mapped_column(
        ForeignKey("campaigns.name"), primary_key=True
    )
    verdict: Mapped[str] = mapped_column(WORD)
    given_at: Mapped[datetime]
    definition: Mapped[str] = mapped_column(WORD)
    counts: Mapped[dict[str, Any]]
