"""The lines of a report: what each of its tables and charts holds."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from campaigns.domain.values import ArmCount
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
        one_look: The same with Newcombe's intervals of the cohorts, combined: right at
            one look only.
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
        expected: The rate of those written to, drawn towards that of all groups as far
            as it is uncertain, at one look; None if nobody was.
    """

    name: str
    title: str
    comparison: Comparison
    expected: Estimate | None


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
class ProgrammeLook:
    """All campaigns together at the end of a day on which windows closed.

    Attributes:
        window_closed_on: Which day.
        so_far: All cohorts whose windows had closed by then.
    """

    window_closed_on: date
    so_far: Comparison
