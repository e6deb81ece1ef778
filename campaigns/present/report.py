"""The weekly report as a value: every number that is shown, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from campaigns.domain.words import Verdict
from campaigns.errors import ActionRefusedError
from campaigns.present.lines import (
    AdoptionLine,
    Breakdown,
    CohortLine,
    Comparison,
    MoneyLine,
    NpsLine,
    OpenLine,
    ProgrammeLook,
    StayLine,
    StepTexts,
)

SCHEMA: Final = "winback-report-5"
_ADDED_SINCE: Final[dict[str, tuple[str, ...]]] = {
    "winback-report-3": ("adoption", "nps"),
    "winback-report-4": (),
    SCHEMA: (),
}
"""What the reports of campaigns had not yet, by the schemas that can be read."""
_BEFORE_5: Final = {"winback-report-3", "winback-report-4"}


@dataclass(frozen=True, slots=True)
class Funnel:
    """From churned accounts to accounts that came back, each loss with its reason.

    Attributes:
        churned: Churned accounts that the latest cohort looked at.
        refused: Why accounts were not enrolled by it.
        enrolled: Accounts enrolled so far, by arm.
        messages: Planned messages by state.
        skipped: Why planned messages were never sent.
        delivery: What SES says became of accepted ones.
        mailed: Treated accounts of closed windows that a mail was accepted for; None
            in reports of before it was counted.
        delivered: Those of them that a mail was delivered to; None likewise.
        clicked: Mails in which a person opened a link.
        unsubscribed: People who unsubscribed.
    """

    churned: int
    refused: dict[str, int]
    enrolled: dict[str, int]
    messages: dict[str, int]
    skipped: dict[str, int]
    delivery: dict[str, int]
    mailed: int | None
    delivered: int | None
    clicked: int
    unsubscribed: int


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """What is known of one campaign.

    Attributes:
        name: The campaign.
        state: Where it is.
        verdict: What may be claimed.
        sentence: The verdict in words.
        baseline_sentence: How the treated rate compares with the pilot's.
        next_step: What a reader can do now.
        is_given: Whether the verdict was given for good.
        warnings: What a reader must know before believing a number.
        changes: What is new since the report of the week before.
        comparison: Over all closed windows.
        breakdowns: By segment, by dormancy and by persona.
        stays: Who was still here after 7, 14 and 30 days.
        stay_sentence: The same in words.
        adoption: How many features are used again, by persona.
        nps: Answers since enrolment, by segment.
        money: Regained revenue, by currency.
        texts: Of each step with several texts, which brings back more.
        cohorts: In order, with the comparison so far.
        cohorts_planned: How many cohorts the campaign has.
        still_open: Enrolled accounts whose window is still open.
        last_window_ends_at: When the verdict falls due; None if not yet known.
        funnel: Who was lost where.
    """

    name: str
    state: str
    verdict: Verdict
    sentence: str
    baseline_sentence: str
    next_step: str
    is_given: bool
    warnings: tuple[str, ...]
    changes: tuple[str, ...]
    comparison: Comparison
    breakdowns: tuple[Breakdown, ...]
    stays: tuple[StayLine, ...]
    stay_sentence: str
    adoption: tuple[AdoptionLine, ...]
    nps: tuple[NpsLine, ...]
    money: tuple[MoneyLine, ...]
    texts: tuple[StepTexts, ...]
    cohorts: tuple[CohortLine, ...]
    cohorts_planned: int
    still_open: tuple[OpenLine, ...]
    last_window_ends_at: datetime | None
    funnel: Funnel

    @property
    def has_counts(self) -> bool:
        """Whether anybody is in a cohort whose window has closed."""
        return any(
            line.treated.accounts + line.holdout.accounts for line in self.cohorts
        )


@dataclass(frozen=True, slots=True)
class Programme:
    """What is known of all campaigns together.

    Attributes:
        verdict: What may be claimed.
        sentence: The verdict in words.
        baseline_sentence: How the treated rate compares with the pilot's.
        next_step: What a reader can do now.
        warnings: What a reader must know before believing a number.
        campaigns: Those that are counted here.
        standing: Those whose effect stands when all are judged at once.
        comparison: Over all their closed windows; its lift is a mean, in which each
            cohort weighs what it can say.
        looks: The comparison over time.
    """

    verdict: Verdict
    sentence: str
    baseline_sentence: str
    next_step: str
    warnings: tuple[str, ...]
    campaigns: tuple[str, ...]
    standing: tuple[str, ...]
    comparison: Comparison
    looks: tuple[ProgrammeLook, ...]


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """Everything that one week's report shows.

    Attributes:
        week: As ISO 8601 names it: 2026-W14.
        as_of: Up to when things are counted.
        company: Whose report it is.
        churn_definition: Version of the churn definition.
        win_back_definition: Version of the win-back definition.
        window_days: How long a return counts after enrolment.
        baseline: The pilot's rate.
        baseline_accounts: How many accounts the pilot had; None if not known.
        model: What is known of the segment model, or None.
        newest_usage_at: The newest usage event that is known.
        known_until: Up to when it is known who came back; None if nothing tells of it.
        programme: All campaigns together; None with less than two to count.
        campaigns: One report each, in order of their names.
        schema: How it was first written; it is written so again.
    """

    week: str
    as_of: datetime
    company: str
    churn_definition: str
    win_back_definition: str
    window_days: int
    baseline: float
    baseline_accounts: int | None
    model: dict[str, Any] | None
    newest_usage_at: datetime | None
    known_until: datetime | None
    programme: Programme | None
    campaigns: tuple[CampaignReport, ...]
    schema: str = SCHEMA

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        values: dict[str, Any] = _plain(self)
        for campaign in values["campaigns"]:
            for name in _ADDED_SINCE[self.schema]:
                del campaign[name]
        if self.schema in _BEFORE_5:
            del values["programme"]
            for each, name in _new_in_5(values):
                del each[name]
        return values

    def json(self) -> str:
        """Return the report as JSON: the same report, the same text."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
        return orjson.dumps(self.plain(), option=options).decode() + "\n"


def from_plain(content: str) -> WeeklyReport:
    """Return a report from its JSON.

    Raises:
        ActionRefusedError: It was written by a version that this one cannot read.
    """
    values = json.loads(content)
    schema = values["schema"]
    if schema not in _ADDED_SINCE:
        raise ActionRefusedError(
            f"the report was kept as {schema}, and this version reads "
            f"{', '.join(_ADDED_SINCE)}; the pages that were made of it are in the "
            "folder reports"
        )
    for campaign in values["campaigns"]:
        campaign.update(dict.fromkeys(_ADDED_SINCE[schema], ()))
    if schema in _BEFORE_5:
        values["programme"] = None
        for each, name in _new_in_5(values):
            each[name] = None
    return TypeAdapter(WeeklyReport).validate_python(values, strict=False)


def _new_in_5(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what has a value that reports of before lack, with the value's name."""
    for campaign in values["campaigns"]:
        yield campaign["funnel"], "mailed"
        yield campaign["funnel"], "delivered"
        for part in campaign["breakdowns"]:
            for line in part["lines"]:
                yield line, "expected"


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return dataclasses and named tuples as dictionaries, all the way down."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value
