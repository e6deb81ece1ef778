"""Compare treated with held out, cohort by cohort, as windows close."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from campaigns.domain.values import ArmCount, CohortCount
from campaigns.domain.words import Arm
from campaigns.present.report import Comparison
from campaigns.rules.measure.lift import lift_interval
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair

CONFIDENCE: Final = 0.95


class Baseline(NamedTuple):
    """What the pilot showed.

    Attributes:
        rate: Its win-back rate.
        accounts: How many accounts it had; None if nobody knows.
    """

    rate: float
    accounts: int | None = None


def looks(
    baseline: Baseline, pairs: Sequence[ArmPair], *, confidence: float = CONFIDENCE
) -> list[Comparison]:
    """Return the comparison before the first cohort closed, and after each."""
    from campaigns.rules.measure import sequential  # scipy takes 0.5 s to import

    arms = [pair.treated for pair in pairs], [pair.holdout for pair in pairs]
    rates = [sequential.rate_sequence(arm, confidence=confidence) for arm in arms]
    over = _over_pilot(baseline, rates[0], arms[0])
    lifts = sequential.lift_sequence(pairs, confidence=confidence)
    found = [Comparison(ArmCount(), ArmCount(), None, None, None, None, None)]
    for pair, ours, theirs, over_pilot, lift in zip(
        pairs, *rates, over, lifts, strict=True
    ):
        treated = _sum(found[-1].treated, pair.treated)
        holdout = _sum(found[-1].holdout, pair.holdout)
        comparison = Comparison(
            treated=treated,
            holdout=holdout,
            treated_rate=ours if treated.accounts else None,
            holdout_rate=theirs if holdout.accounts else None,
            lift=lift if treated.accounts and holdout.accounts else None,
            one_look=lift_interval(treated, holdout),
            over_pilot=over_pilot if treated.accounts else None,
        )
        found.append(comparison)
    return found


def _over_pilot(
    baseline: Baseline, rates: Sequence[Estimate], counts: Sequence[ArmCount]
) -> list[Estimate]:
    from campaigns.rules.measure.sequential import against_pilot

    rate, accounts = baseline
    if accounts is None:
        return [Estimate(*(end - rate for end in each)) for each in rates]
    return against_pilot(counts, ArmCount(accounts, round(rate * accounts)))


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
    by_cohort: dict[tuple[datetime, int], list[CohortCount]] = {}
    for count in counts:
        key = count.window_ends_at, count.cohort
        by_cohort.setdefault(key, []).append(count)
    return [by_cohort[key] for key in sorted(by_cohort)]
