"""Differences of amounts: money, or a rate adjusted by what was known before."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from campaigns.errors import InputError
from campaigns.rules.measure.rates import Estimate

Amounts = NDArray[np.float64]
Strata = Sequence[tuple[Amounts, Amounts]]
"""Of each stratum what each treated account is worth, and each held-out one."""

LEAST_ACCOUNTS: Final = 30
_BUCKETS: Final = 1000
_LEAST_BUCKETS: Final = 100
_LEAST_HELD: Final = 20  # buckets of the smaller arm
_LEAST_IN_ARM: Final = 5
_DRAWS: Final = 1000
_CONCENTRATED: Final = 0.2


class Adjusted(NamedTuple):
    """An arm's outcomes, with what was known before taken out.

    Attributes:
        slope: Of the outcome on what was known.
        values: The adjusted outcomes; their mean is that of the outcomes.
        variance_left: Share of the variance that is left, from 0 to 1.
    """

    slope: float
    values: Amounts
    variance_left: float


def adjusted(outcome: Amounts, before: Amounts) -> Adjusted:
    """Return outcomes less what a line through use before churn foretells of them.

    Source: A. Deng, Y. Xu, R. Kohavi and T. Walker, WSDM 2013 (CUPED).

    Args:
        outcome: Of each account, of all arms together.
        before: What was known of each before it was enrolled.

    >>> adjusted(np.array([2.0, 3, 5, 4, 6, 8]), np.arange(6.0)).slope
    1.08...
    """
    centred = before - before.mean()
    squares = float(centred @ centred)
    slope = float(centred @ outcome) / squares if squares else 0.0
    values = outcome - slope * centred
    variance = float(outcome.var())
    left = float(values.var()) / variance if variance else 1.0
    return Adjusted(slope, values, left)


def adjusted_lift(
    treated: tuple[Amounts, Amounts],
    holdout: tuple[Amounts, Amounts],
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Return treated minus holdout, adjusted by what was known before.

    Right for one look and large arms: a normal interval of a difference of means.

    Args:
        treated: Outcomes, and what was known before, of that arm's accounts.
        holdout: The same of the holdout.
        confidence: Of the interval.

    Raises:
        InputError: An arm has fewer than 30 accounts.
    """
    size = len(treated[0])
    _refuse_small(size, len(holdout[0]))
    outcome, before = (
        np.concatenate(each).astype(float)
        for each in zip(treated, holdout, strict=True)
    )
    values = adjusted(outcome, before).values
    ours, theirs = values[:size], values[size:]
    error = sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * error
    value = float(ours.mean() - theirs.mean())
    return Estimate(value, value - reach, value + reach)


def _refuse_small(*sizes: int) -> None:
    if min(sizes) < LEAST_ACCOUNTS:
        raise InputError(
            f"an arm has {min(sizes)} accounts; amounts need {LEAST_ACCOUNTS} or more"
        )


class Money(NamedTuple):
    """A difference of mean amounts.

    Attributes:
        per_account: Treated minus holdout, of each account.
        largest_share: Of all that came, what the largest account brought.
    """

    per_account: Estimate
    largest_share: float

    @property
    def hangs_on_one(self) -> bool:
        """Whether one account is more than a fifth of the whole."""
        return self.largest_share > _CONCENTRATED


def money(strata: Strata, *, confidence: float = 0.95, seed: int = 0) -> Money:
    """Return what an account brings more if it is mailed.

    Args:
        strata: What each treated account brought, 0 if it did not come back, and each
            held-out one; of each cohort, say.
        confidence: Of the interval.
        seed: Of the lots.

    Raises:
        InputError: An arm has fewer than 30 accounts.
    """
    added = difference_of_means(strata, confidence=confidence, seed=seed)
    everything = np.concatenate([amounts for each in strata for amounts in each])
    total = float(everything.sum())
    share = float(everything.max()) / total if total else 0.0
    return Money(added, share)


def least_arm(strata: Strata) -> int:
    """Return how many accounts the smaller arm has, of strata that have both."""
    sizes = [(len(ours), len(theirs)) for ours, theirs in strata]
    both = [each for each in sizes if min(each)]
    return min(map(sum, zip(*both, strict=True)), default=0)


def difference_of_means(
    strata: Strata, *, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Return how much larger the means of treated accounts are than those of held out.

    The mean of the strata's differences by Mantel and Haenszel's weights. Its interval
    asks nothing of how amounts spread: in each stratum accounts are given to the arms
    anew 1,000 times, by lot, and how far apart that puts the means, in standard errors,
    says how far chance reaches. So where mails do nothing it is right, however few
    accounts pay and however much one of them does; drawing each arm anew from itself
    instead finds money out of nothing in one programme of seven, where three of forty
    held-out accounts pay. Strata with fewer than five accounts in an arm are put
    together, as the spread of one is not to be seen; many accounts are put into buckets
    by lot, at least twenty of the smaller arm.
    Source: E. Chung and J. Romano, Annals of Statistics 41 (2013), 484-507.

    Args:
        strata: An amount of each treated account, and of each held-out one; of each
            cohort, say. One without both arms says nothing.
        confidence: Of the interval.
        seed: Of the lots.

    Raises:
        InputError: An arm has fewer than 30 accounts.
    """
    _refuse_small(least_arm(strata))
    strata = _large_enough(strata)
    weights = np.array(
        [1 / (1 / len(ours) + 1 / len(theirs)) for ours, theirs in strata]
    )
    shares = weights / weights.sum()
    found = np.array([_apart(*each) for each in strata])
    rng = np.random.default_rng(seed)
    most = max(_LEAST_BUCKETS, _BUCKETS // len(strata))
    lots = np.array([_by_lot(*each, most=most, rng=rng) for each in strata])
    value, error = shares @ found[:, 0], sqrt(shares**2 @ found[:, 1])
    drawn, errors = shares @ lots[:, 0], np.sqrt(shares**2 @ lots[:, 1])
    student = np.divide(drawn, errors, out=np.zeros(_DRAWS), where=errors > 0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(student, [tail, 1 - tail])
    return Estimate(
        float(value), float(value - high * error), float(value - low * error)
    )


def _large_enough(strata: Strata) -> Strata:
    """Return strata with both arms; those with few accounts in one are put together."""
    both = sorted((each for each in strata if _smaller(each)), key=_smaller)
    few = [each for each in both if _smaller(each) < _LEAST_IN_ARM]
    many = both[len(few) :]
    while few and many and _smaller(_together(few)) < _LEAST_IN_ARM:
        few.append(many.pop(0))
    return [*many, _together(few)] if few else many


def _smaller(stratum: tuple[Amounts, Amounts]) -> int:
    return min(map(len, stratum))


def _together(strata: Strata) -> tuple[Amounts, Amounts]:
    ours, theirs = (np.concatenate(arm) for arm in zip(*strata, strict=True))
    return ours, theirs


def _apart(treated: Amounts, holdout: Amounts) -> tuple[float, float]:
    """Return how far the means are apart, and the variance of that."""
    return (
        float(treated.mean() - holdout.mean()),
        float(treated.var() / len(treated) + holdout.var() / len(holdout)),
    )


def _by_lot(
    treated: Amounts, holdout: Amounts, *, most: int, rng: np.random.Generator
) -> Amounts:
    """Return the same of arms that are drawn by lot, many times: (2, draws)."""
    everyone = rng.permutation(np.concatenate([treated, holdout]))
    smaller = _smaller((treated, holdout))
    needed = -(-_LEAST_HELD * len(everyone) // smaller)
    size = min(len(everyone), max(most, needed))
    means = np.array([each.mean() for each in np.array_split(everyone, size)])
    held = round(size * len(holdout) / len(everyone))
    held = min(max(held, 1), size - 1)
    places = np.argpartition(rng.random((_DRAWS, size)), held - 1, axis=1)[:, :held]
    moments = np.stack([means, means**2])
    theirs = moments[:, places].sum(axis=2)
    ours = (moments.sum(axis=1)[:, np.newaxis] - theirs) / (size - held)
    theirs /= held
    spread = [np.maximum(second - first**2, 0) for first, second in (ours, theirs)]
    return np.stack([ours[0] - theirs[0], spread[0] / (size - held) + spread[1] / held])
