"""The weekly report as a value: every number that is shown, and nothing else."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.errors import ActionRefusedError
from campaigns.rules.measure.rates import Estimate

SCHEMA: Final = "winback-report-4"
_ADDED_SINCE: Final = {"winback-report-3": ("adoption", "nps"), SCHEMA: ()}
"""What the reports of campaigns had not yet, by the schemas that can be read."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treated against held out, with intervals that hold at every look.

    Attributes:
        treated: Counts of the accounts that were written to.
        holdout: Counts of the accounts that were not.
        treated_rate: Rate of the one; None for an empty arm.
        holdout_rate: Rate of the other; None for an empty arm.
        lift: Treated minus holdout; None if an arm is empty.
        one_look: The same with Newcombe's interval, which is right at one look only.
        over_pilot: Treated minus the pilot's rate; None for an empty arm.
    """

    treated: ArmCount
    holdout: ArmCount
    treated_rate: Estimate | None
    holdout_rate: Estimate | None
    lift: Estimate | None
    one_look: Estimate | None
    over_pilot: Estimate | None


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One group's comparison.

    Attributes:
        name: What the group is called in the database.
        title: What people call it.
        comparison: Its accounts.
    """

    name: str
    title: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All accounts, group by group; the intervals of all its groups hold together.

    Attributes:
        by: What tells the groups apart: segment, dormancy or persona.
        lines: One for each group.
    """

    by: str
    lines: tuple[GroupLine, ...]


@dataclass(frozen=True, slots=True)
class StayLine:
    """Who was still here some days after coming back.

    Attributes:
        days: How many days after.
        treated: Accounts written to, and those that came back and were still here.
        holdout: The same of those held out.
        treated_back: Of the accounts written to, those that came back, and of these
            those that were still here.
        holdout_back: The same of those held out.
        lift: Treated minus holdout, of all accounts; None if an arm is empty.
        kept: Treated minus holdout, of those that came back; None if none did.
    """

    days: int
    treated: ArmCount
    holdout: ArmCount
    treated_back: ArmCount
    holdout_back: ArmCount
    lift: Estimate | None
    kept: Estimate | None


class Adoption(NamedTuple):
    """Accounts that came back, and how many features they used since, added up."""

    accounts: int = 0
    features: int = 0


@dataclass(frozen=True, slots=True)
class AdoptionPoint:
    """What a persona's accounts used so many days after they came back.

    Attributes:
        days: How many days after.
        treated: Of those written to.
        holdout: Of those held out.
        treated_average: Features an account of those written to; None if none is.
        holdout_average: The same of those held out.
    """

    days: int
    treated: Adoption
    holdout: Adoption
    treated_average: float | None
    holdout_average: float | None


@dataclass(frozen=True, slots=True)
class AdoptionLine:
    """How a persona takes up the product again.

    Attributes:
        persona: Which.
        points: After 7, 14 and 30 days.
    """

    persona: str
    points: tuple[AdoptionPoint, ...]


class Answers(NamedTuple):
    """The latest answers to NPS since enrolment, one an account.

    Attributes:
        accounts: How many answered.
        promoters: Those with 9 or 10.
        detractors: Those with 0 to 6.
    """

    accounts: int = 0
    promoters: int = 0
    detractors: int = 0


@dataclass(frozen=True, slots=True)
class NpsLine:
    """What the accounts of one of the company's own segments answer.

    Attributes:
        segment: Its name, as accounts were imported with it.
        treated: The answers of accounts written to.
        holdout: And of those held out.
        treated_score: Promoters less detractors, as a share of the answers of accounts
            written to; None if there is no answer.
        holdout_score: The same of those held out.
        difference: What the score of those written to lies above that of those held
            out, cohorts weighing alike in both; right at one look, for all segments
            together. None with fewer than 30 answers in an arm, or all alike.
    """

    segment: str
    treated: Answers
    holdout: Answers
    treated_score: float | None
    holdout_score: float | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class MoneyLine:
    """Monthly revenue that runs again when windows close, net of discounts.

    Attributes:
        currency: By ISO 4217.
        treated_minor: Of all accounts written to, in minor units.
        holdout_minor: Of all held out, in minor units.
        added_minor: What the mails added: the difference an account, times the
            accounts written to; right at one look. None with less than 30 accounts in
            an arm.
        largest_share: Of all of it, what the largest account pays.
        hangs_on_one: Whether that is more than a fifth.
    """

    currency: str
    treated_minor: int
    holdout_minor: int
    added_minor: Estimate | None
    largest_share: float
    hangs_on_one: bool


@dataclass(frozen=True, slots=True)
class CohortLine:
    """The comparison over all cohorts up to this one.

    Attributes:
        number: The cohort's number.
        enrolled_on: The day it was enrolled.
        window_closed_on: The day its window closed.
        treated: This cohort's own counts of accounts that were written to.
        holdout: And of those that were not.
        so_far: All cohorts up to this one.
    """

    number: int
    enrolled_on: date
    window_closed_on: date
    treated: ArmCount
    holdout: ArmCount
    so_far: Comparison


@dataclass(frozen=True, slots=True)
class TextLine:
    """The accounts that were given one of a step's texts.

    Attributes:
        text: As the campaign names it.
        count: How many, and how many of them came back.
    """

    text: str
    count: ArmCount


@dataclass(frozen=True, slots=True)
class StepTexts:
    """The texts of a step that has several, each account given one by lot.

    Attributes:
        step: Which one, as a word: "step 1".
        sentence: Which text brings back more, if that can be told.
        best: The text that was shown to beat each other one; None while none was.
        lines: One for each text.
    """

    step: str
    sentence: str
    best: str | None
    lines: tuple[TextLine, ...]


@dataclass(frozen=True, slots=True)
class OpenLine:
    """An arm of the cohorts whose windows are still open: in no rate, and no verdict.

    Attributes:
        arm: Which.
        accounts: How many were enrolled.
        returned: How many came back so far.
        days: For how long those that were enrolled first are known; 0 if not at all.
        share: What will have come back after so many days, at one look; None if nobody
            is known for any time.
    """

    arm: str
    accounts: int
    returned: int
    days: int
    share: Estimate | None


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
        clicked: Mails in which a person opened a link.
        unsubscribed: People who unsubscribed.
    """

    churned: int
    refused: dict[str, int]
    enrolled: dict[str, int]
    messages: dict[str, int]
    skipped: dict[str, int]
    delivery: dict[str, int]
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
        known_until: When usage or subscriptions were last imported.
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
    campaigns: tuple[CampaignReport, ...]
    schema: str = SCHEMA

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        values: dict[str, Any] = _plain(self)
        for campaign in values["campaigns"]:
            for name in _ADDED_SINCE[self.schema]:
                del campaign[name]
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
    return TypeAdapter(WeeklyReport).validate_python(values, strict=False)


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
