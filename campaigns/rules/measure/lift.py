"""The difference and the ratio of two arms, at one look."""

from math import sqrt
from statistics import NormalDist

import numpy as np

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate, rate_interval
from campaigns.rules.measure.restricted import second_rate

_BESIDE = 1e-12


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


def score_interval(
    treated: ArmCount, holdout: ArmCount, *, confidence: float = 0.95
) -> Estimate | None:
    """Return treated minus holdout with the score interval; None if an arm is empty.

    All differences that a score test does not reject. Costlier than Newcombe's, and the
    better of the two where counts are small and arms unequal.
    Source: O. Miettinen and M. Nurminen, Statistics in Medicine 4 (1985), 213-226.

    >>> score_interval(ArmCount(70, 56), ArmCount(80, 48))
    Estimate(value=0.2..., low=0.052..., high=0.338...)
    """
    from scipy.optimize import brentq

    if not treated.accounts or not holdout.accounts:
        return None
    value = treated.returned / treated.accounts - holdout.returned / holdout.accounts
    z = NormalDist().inv_cdf((1 + confidence) / 2)

    def beyond(difference: float) -> float:
        return abs(value - difference) - z * _score_error(treated, holdout, difference)

    # At a difference of 1 the error is 0, too: the ends are looked for beside it.
    low = -1.0 if value == -1 else brentq(beyond, -1.0, value - _BESIDE, xtol=1e-12)
    high = 1.0 if value == 1 else brentq(beyond, value + _BESIDE, 1.0, xtol=1e-12)
    return Estimate(value, float(low), float(high))


def _score_error(treated: ArmCount, holdout: ArmCount, difference: float) -> float:
    """Return the standard error of the difference, if that is `difference`."""
    n1, n2 = treated.accounts, holdout.accounts
    second = _likeliest_holdout(treated, holdout, difference)
    first = min(max(second + difference, 0.0), 1.0)
    variance = first * (1 - first) / n1 + second * (1 - second) / n2
    return sqrt(variance * (n1 + n2) / (n1 + n2 - 1))


def _likeliest_holdout(
    treated: ArmCount, holdout: ArmCount, difference: float
) -> float:
    """Return the holdout's likeliest rate if the treated arm's is so much larger."""
    returned = np.array(float(treated.returned)), np.array(float(holdout.returned))
    accounts = np.array(float(treated.accounts)), np.array(float(holdout.accounts))
    return float(second_rate(returned, accounts, np.array(difference)))


def risk_ratio(
    treated: ArmCount, holdout: ArmCount, *, confidence: float = 0.95
) -> Estimate | None:
    """Return how many times likelier the treated come back, with its interval.

    Both Wilson intervals combined. None if an arm is empty or nobody of the holdout
    came back: then no ratio is too large.
    Source: A. Donner and G. Y. Zou, Statistical Methods in Medical Research 21 (2012),
    347-359.

    >>> risk_ratio(ArmCount(73, 24), ArmCount(65, 53))
    Estimate(value=0.403..., low=0.281..., high=0.562...)
    """
    ours = rate_interval(treated, confidence=confidence)
    theirs = rate_interval(holdout, confidence=confidence)
    if ours is None or theirs is None or not theirs.value:
        return None
    low = _ratio_bound(ours.value, theirs.value, ours.low, theirs.high, -1)
    high = _ratio_bound(ours.value, theirs.value, ours.high, theirs.low, 1)
    return Estimate(ours.value / theirs.value, low, high)


def _ratio_bound(p: float, q: float, end: float, other: float, side: int) -> float:
    """Return where p / q ends if the one ends at `end` and the other at `other`."""
    product, below = p * q, other * (2 * q - other)
    root = sqrt(max(product**2 - end * (2 * p - end) * below, 0.0))
    return (product + side * root) / below
