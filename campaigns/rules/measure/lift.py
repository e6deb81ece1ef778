"""The difference between two arms."""

from math import sqrt

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate, rate_interval


def lift_interval(
    treated: ArmCount, holdout: ArmCount, *, confidence: float = 0.95
) -> Estimate | None:
    """Return treated minus holdout with Newcombe's interval; None if an arm is empty.

    Method 10: the two Wilson intervals combined, so it behaves at small counts and
    unequal arms. Right for one look; looking every week and stopping at the first
    interval without 0 claims a difference far too often.
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890.

    >>> lift_interval(ArmCount(70, 56), ArmCount(80, 48))
    Estimate(value=0.2..., low=0.052..., high=0.333...)
    """
    ours = rate_interval(treated, confidence=confidence)
    theirs = rate_interval(holdout, confidence=confidence)
    if ours is None or theirs is None:
        return None
    below = sqrt((ours.value - ours.low) ** 2 + (theirs.high - theirs.value) ** 2)
    above = sqrt((ours.high - ours.value) ** 2 + (theirs.value - theirs.low) ** 2)
    difference = ours.value - theirs.value
    return Estimate(difference, difference - below, difference + above)
