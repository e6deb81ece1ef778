"""Differences over several strata: campaigns, segments, dormancy bands."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.lift import lift_interval
from campaigns.rules.measure.rates import Estimate


class ArmPair(NamedTuple):
    """The two arms of a cohort or of a stratum."""

    treated: ArmCount
    holdout: ArmCount


def weighted_difference(strata: Sequence[ArmPair]) -> float | None:
    """Return the differences' mean, each weighted by what it can say.

    Unlike the difference of the sums, it is not misled where arms are shared out
    differently from stratum to stratum. None if no stratum has both arms.
    Source: S. Greenland and J. Robins, Biometrics 41 (1985), 55-68, after Mantel and
    Haenszel.

    >>> weighted_difference([ArmPair(ArmCount(10, 5), ArmCount(10, 2))])
    0.3
    """
    shares = shares_of(strata)
    found = [
        share * _difference(each)
        for share, each in zip(shares, strata, strict=True)
        if share
    ]
    return sum(found) if found else None


def _difference(stratum: ArmPair) -> float:
    ours, theirs = stratum
    return ours.returned / ours.accounts - theirs.returned / theirs.accounts


def shares_of(strata: Sequence[ArmPair]) -> list[float]:
    """Return what each stratum can say, as shares of 1; 0 for one without both arms."""
    weights = [
        ours.accounts * theirs.accounts / ((ours.accounts + theirs.accounts) or 1)
        for ours, theirs in strata
    ]
    return [weight / (sum(weights) or 1) for weight in weights]


def stratified_lift(
    strata: Sequence[ArmPair], *, confidence: float = 0.95
) -> Estimate | None:
    """Return treated minus holdout over all strata; None if none has both arms.

    Mantel and Haenszel's weights; Newcombe's intervals of the strata combined as the
    interval of a sum. Right for one look.
    Source: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008), 1693-1702.

    >>> stratified_lift([ArmPair(ArmCount(70, 56), ArmCount(80, 48))])
    Estimate(value=0.2..., low=0.052..., high=0.333...)
    """
    lifts = [lift_interval(*each, confidence=confidence) for each in strata]
    found = [
        (share, lift)
        for share, lift in zip(shares_of(strata), lifts, strict=True)
        if lift
    ]
    if not found:
        return None
    value = sum(share * lift.value for share, lift in found)
    below = sum((share * (lift.value - lift.low)) ** 2 for share, lift in found)
    above = sum((share * (lift.high - lift.value)) ** 2 for share, lift in found)
    return Estimate(value, value - sqrt(below), value + sqrt(above))
