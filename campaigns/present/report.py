"""The weekly report as a value: every number that is shown, and nothing else."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.rules.measure.rates import Estimate


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
class SegmentLine:
    """One segment's comparison."""

    segment: str
    title: str
    comparison: Comparison


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
        is_final: Whether the verdict was given.
        comparison: Over all closed windows.
        segments: By segment.
        cohorts: In order, with the comparison so far.
        cohorts_planned: How many cohorts the campaign has.
        not_matured: Enrolled accounts whose window is still open, by arm.
        last_window_ends_at: When the verdict falls due; None if not yet known.
        funnel: Who was lost where.
    """

    name: str
    state: str
    verdict: Verdict
    sentence: str
    baseline_sentence: str
    next_step: str
    is_final: bool
    comparison: Comparison
    segments: tuple[SegmentLine, ...]
    cohorts: tuple[CohortLine, ...]
    cohorts_planned: int
    not_matured: dict[str, int]
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

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {"schema": "winback-report-2", **_plain(self)}


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
