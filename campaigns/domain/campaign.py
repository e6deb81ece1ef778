"""What a marketer writes down: a campaign's audience, steps, schedule and caps.

`sources/campaign_files` reads it from TOML and says where a mistake is.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

GENERAL: Final = "general"
"""Stands for an account whose segment is unsure: it gets the general mail."""

SEGMENT_PLACEHOLDER: Final = "{segment}"

TemplateName = Annotated[
    str,
    # A tag of SES holds no other characters, and each mail bears its template's name.
    StringConstraints(max_length=100, pattern=r"^([A-Za-z0-9_.-]|\{segment\})+$"),
]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Weekday(StrEnum):
    """A day of the week, as it is written in campaign files."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Part(BaseModel):
    """What every part of a definition shares."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Audience(Part):
    """Which churned accounts a campaign is for.

    Attributes:
        segments: Names of segments, `general` for unsure ones; None for all.
        churned_days_min: Days since churn, at least.
        churned_days_max: Days since churn, at most.
    """

    segments: tuple[Name, ...] | None = None
    churned_days_min: Annotated[int, Field(ge=0)] = 0
    churned_days_max: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "Audience":
        longest = self.churned_days_max
        if longest is not None and longest < self.churned_days_min:
            raise ValueError("churned_days_max is below churned_days_min")
        return self


class Step(Part):
    """One mail of the sequence.

    Attributes:
        template: A template's name; `{segment}` in it stands for the segment's.
        templates: Or several, of which each account gets one by lot.
        days_after_previous: Full days after the step before it (0 for the first).
        exit_when_back: Always true: nobody who came back is written to.
    """

    template: TemplateName | None = None
    templates: Annotated[tuple[TemplateName, ...], Field(max_length=5)] = ()
    days_after_previous: Annotated[int, Field(ge=0, le=90)] = 0
    exit_when_back: Literal[True] = True

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of which an account gets one, as they are written down."""
        return self.templates or (self.template or "",)

    @model_validator(mode="after")
    def _has_one_text_or_several(self) -> "Step":
        if (self.template is None) == (not self.templates):
            raise ValueError("give either `template` or `templates`")
        if self.templates and len(set(self.templates)) != len(self.templates):
            raise ValueError("`templates` names one twice")
        if len(self.templates) == 1:
            raise ValueError("`templates` compares two or more; one is a `template`")
        return self


def template_for(text: str, segment: str) -> str:
    """Return the name of a text's template for an account of `segment`."""
    return text.replace(SEGMENT_PLACEHOLDER, segment)


class Schedule(Part):
    """When accounts are enrolled, and in which local hours their mails go out.

    Attributes:
        on: Enrol once, on this date or at this moment.
        cron: Or enrol again and again: five cron fields, weekdays by name, UTC.
        cohorts: How many enrolments a cron schedule makes; a campaign needs a last
            one, because only then can its verdict be given.
        hours: First and last local hour (the last excluded) mails may be sent in.
        weekdays: Local weekdays mails may be sent on.
    """

    on: datetime | date | None = None
    cron: str | None = None
    cohorts: Annotated[int, Field(ge=1, le=260)] | None = None
    hours: tuple[
        Annotated[int, Field(ge=0, le=23)], Annotated[int, Field(ge=1, le=24)]
    ] = (9, 17)
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = (
        Weekday.TUE,
        Weekday.WED,
        Weekday.THU,
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Schedule":
        if (self.on is None) == (self.cron is None):
            raise ValueError("give either `on` (one date) or `cron`")
        if self.cron is not None and self.cohorts is None:
            raise ValueError("a cron schedule needs `cohorts`: how many enrolments")
        if self.on is not None and self.cohorts is not None:
            raise ValueError("`cohorts` belongs to `cron`; `on` enrols once")
        if self.hours[0] >= self.hours[1]:
            raise ValueError("`hours` must be [first, last] with first before last")
        return self


class Caps(Part):
    """Limits that a campaign puts on itself; None means no limit.

    Attributes:
        accounts_per_cohort: Accounts that one cohort enrols.
        mails_per_day: Mails on a UTC day.
        first_mails: Mails that go out before anything is known of what became of them.
    """

    first_mails: Annotated[int, Field(ge=1)] = 50
    accounts_per_cohort: Annotated[int, Field(ge=1)] | None = None
    mails_per_day: Annotated[int, Field(ge=1)] | None = None


class CampaignDefinition(Part):
    """A campaign, as a marketer wrote it down."""

    name: Name
    description: str = ""
    audience: Audience = Field(default_factory=Audience)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=10)]
    schedule: Schedule
    caps: Caps = Field(default_factory=Caps)

    @model_validator(mode="after")
    def _later_steps_wait(self) -> "CampaignDefinition":
        for number, step in enumerate(self.steps[1:], start=2):
            if step.days_after_previous < 1:
                raise ValueError(f"step {number} needs days_after_previous ≥ 1")
        return self
