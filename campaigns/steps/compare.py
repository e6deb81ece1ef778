"""Compare treated with held out, cohort by cohort, as windows close."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from typing import Final, NamedTuple

from campaigns.domain.values import ArmCount, CohortCount
from campaigns.domain.words import Arm
from campaigns.present.lines import Comparison
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair, stratified_lift

CONFIDENCE: Final = 0.95
NOTHING: Final = Comparison(ArmCount(), ArmCount(), None, None, None, None, None)
"""Before the first window has closed."""


class Baseline(NamedTuple):
    """What the pilot showed.

    Attributes:
        rate: Its win-back rate.
        accounts: How many accounts it had; None if nobody knows.
    """

    rate: float
    accounts: int | None = None


def looks(baseline: Baseline, pairs: Sequence[ArmPair]) -> list[Comparison]:
    """Return the comparison before the first cohort closed, and after each."""
    from campaigns.rules.measure.sequential import lift_sequence

    lifts = lift_sequence(pairs, confidence=CONFIDENCE)
    return [
        NOTHING,
        *(
            _compared(baseline, pairs[:number], lift, CONFIDENCE)
            for number, lift in enumerate(lifts, start=1)
        ),
    ]


def pooled_look(
    baseline: Baseline, pairs: Sequence[ArmPair], lift: Estimate
) -> Comparison:
    """Return the comparison over cohorts of several campaigns, whose lift is known.

    Args:
        baseline: The pilot.
        pairs: The cohorts.
        lift: The mean of their differences.
    """
    return _compared(baseline, pairs, lift, CONFIDENCE)


def windows_of(counts: Iterable[CohortCount]) -> set[int]:
    """Return for how many days returns counted: one number, if that never changed."""
    return {(each.window_ends_at - each.enrolled_at).days for each in counts}


def last_look(
    baseline: Baseline, pairs: Sequence[ArmPair], *, confidence: float = CONFIDENCE
) -> Comparison:
    """Return the comparison after the last cohort; it knows of all looks before."""
    from campaigns.rules.measure.sequential import lift_after_all

    if not pairs:
        return NOTHING
    lift = lift_after_all(pairs, confidence=confidence)
    return _compared(baseline, pairs, lift, confidence)


def _compared(
    baseline: Baseline, pairs: Sequence[ArmPair], lift: Estimate, confidence: float
) -> Comparison:
    from campaigns.rules.measure.sequential import rate_sequence

    treated, holdout = reduce(_both, pairs)
    ours, theirs = (
        rate_sequence([arm], confidence=confidence)[0] for arm in (treated, holdout)
    )
    return Comparison(
        treated=treated,
        holdout=holdout,
        treated_rate=ours if treated.accounts else None,
        holdout_rate=theirs if holdout.accounts else None,
        lift=lift if treated.accounts and holdout.accounts else None,
        one_look=stratified_lift(pairs),
        over_pilot=_over_pilot(baseline, ours, treated) if treated.accounts else None,
    )


def _over_pilot(baseline: Baseline, ours: Estimate, treated: ArmCount) -> Estimate:
    from campaigns.rules.measure.sequential import against_pilot

    rate, accounts = baseline
    if accounts is None:
        return Estimate(*(end - rate for end in ours))
    pilot = ArmCount(accounts, round(rate * accounts))
    return against_pilot([treated], pilot)[0]


def _both(one: ArmPair, other: ArmPair) -> ArmPair:
    return ArmPair(*map(_sum, one, other))


def _sum(one: ArmCount, other: ArmCount) -> ArmCount:
    return ArmCount(one.accounts + other.accounts, one.returned + other.returned)


def pairs_of(counts: Sequence[CohortCount]) -> list[ArmPair]:
    """Return both arms of each cohort, in the order in which their windows closed."""
    return [pair_of(group) for group in in_order(counts)]


def pair_of(counts: Iterable[CohortCount]) -> ArmPair:
    """Return both arms' sums."""
    both = {arm: ArmCount() for arm in Arm}
    for count in counts:
        more = ArmCount(count.accounts, count.returned)
        both[count.arm] = _sum(both[count.arm], more)
    return ArmPair(both[Arm.TREATED], both[Arm.HOLDOUT])


def in_order(counts: Sequence[CohortCount]) -> list[list[CohortCount]]:
    """Return each cohort's counts, in the order in which their windows closed."""
    by_cohort: dict[tuple[datetime, str, int], list[CohortCount]] = {}
    for count in counts:
        key = count.window_ends_at, count.campaign, count.cohort
        by_cohort.setdefault(key, []).append(count)
    return [by_cohort[key] for key in sorted(by_cohort)]
