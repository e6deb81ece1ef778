"""Differences of amounts: money, or a rate adjusted by what was known before."""

from math import sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from campaigns.errors import InputError
from campaigns.rules.measure.rates import Estimate

Amounts = NDArray[np.float64]

LEAST_ACCOUNTS: Final = 30
_BUCKETS: Final = 1000
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


def money(
    treated: Amounts, holdout: Amounts, *, confidence: float = 0.95, seed: int = 0
) -> Money:
    """Return what an account brings more if it is mailed.

    Args:
        treated: What each account of that arm brought, 0 if it did not come back.
        holdout: The same of the holdout.
        confidence: Of the interval.
        seed: Of what is drawn.

    Raises:
        InputError: An arm has fewer than 30 accounts.
    """
    added = difference_of_means(treated, holdout, confidence=confidence, seed=seed)
    everything = np.concatenate([treated, holdout])
    total = float(everything.sum())
    share = float(everything.max()) / total if total else 0.0
    return Money(added, share)


def difference_of_means(
    treated: Amounts,
    holdout: Amounts,
    *,
    weight: Amounts | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Return how much larger one arm's mean is, with a bootstrap interval.

    It asks nothing of how amounts spread. Each arm is drawn anew 1,000 times, and the
    differences' percentiles are the interval; arms of more than a thousand are put into
    a thousand buckets by lot first, which hardly moves the interval.
    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), § 13.

    Args:
        treated: An amount of each account of that arm.
        holdout: The same of the holdout.
        weight: How much each account of the holdout counts; None for alike.
        confidence: Of the interval.
        seed: Of what is drawn.

    Raises:
        InputError: An arm has fewer than 30 accounts.
    """
    _refuse_small(len(treated), len(holdout))
    weight = np.ones(len(holdout)) if weight is None else weight
    rng = np.random.default_rng(seed)
    drawn = _means(treated, np.ones(len(treated)), rng) - _means(holdout, weight, rng)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    value = treated.mean() - np.average(holdout, weights=weight)
    return Estimate(float(value), float(low), float(high))


def _means(amounts: Amounts, weight: Amounts, rng: np.random.Generator) -> Amounts:
    """Return the mean of each of many arms drawn from one, with repetition."""
    size = min(len(amounts), _BUCKETS)
    lots = np.array_split(rng.permutation(len(amounts)), size)
    totals = np.array([amounts[lot] @ weight[lot] for lot in lots])
    sizes = np.array([weight[lot].sum() for lot in lots])
    often = rng.multinomial(size, np.full(size, 1 / size), _DRAWS).astype(float)
    return np.asarray((often @ totals) / (often @ sizes))
