"""Intervals that stay right however often one looks, and at whatever moment one stops.

A plain 95 % interval is right at one look. Whoever looks every week for half a year,
and stops at the first one without 0, is misled about one time in four. The intervals
here hold at all looks together: the chance that any of them ever misses the truth is at
most 5 %, at small counts and unequal arms too.

They are made of bets. Against each value that the lift may have, a gambler bets that it
is another, at odds that are fair if it is that value; by Ville's inequality he then has
a chance of at most 1 in 20 of ever making 20 of 1. A value against which he did is out.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from math import sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln, expit, xlog1py, xlogy

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate, exact_interval
from campaigns.rules.measure.restricted import Floats, second_rate
from campaigns.rules.measure.strata import ArmPair, weighted_difference

_WIDEST: Final = 0.999
_PRECISION: Final = 1e-5
"""Ends are found to a thousandth of a point, and put outside by as much."""
_LEAST: Final = 1e-15
"""Stands for a rate of 0, whose logarithm would be infinite."""

Ints: TypeAlias = NDArray[np.int64]


def lift_sequence(
    cohorts: Sequence[ArmPair], *, confidence: float = 0.95
) -> list[Estimate]:
    """Return treated minus holdout after each cohort, with intervals that hold at all.

    What one cohort excluded stays excluded, so an interval never grows again, but to
    hold its own value. Where low is not below high, no single lift fits all cohorts: it
    changed between them. The value is Mantel and Haenszel's mean of the differences.

    Args:
        cohorts: In the order in which their windows closed.
        confidence: That no interval misses the true lift.

    Source: R. Turner and P. Grünwald, "Safe sequential testing and effect estimation
    in stratified count data", AISTATS 2023; the mixture over what to bet on is ours.

    >>> one = ArmPair(ArmCount(2400, 288), ArmCount(600, 36))
    >>> lift_sequence([one])
    [Estimate(value=0.06, low=0.0..., high=0.09...)]
    """
    odds = float(-np.log1p(-confidence))
    accounts, returned = _counts(cohorts)
    low, high, found = -_WIDEST, _WIDEST, []
    for number in range(1, len(cohorts) + 1):
        value = weighted_difference(cohorts[:number]) or 0.0
        centre = min(max(value, -_WIDEST), _WIDEST)
        against = partial(_evidence_at_last, accounts[:number], returned[:number])

        def gain(lift: float, against: Callable[[float], float] = against) -> float:
            return _straight(against(lift), odds)

        low = max(low, _bound(gain, centre, low, -1))
        high = min(high, _bound(gain, centre, high, 1))
        found.append(_estimate(value, low, high))
    return found


def lift_after_all(cohorts: Sequence[ArmPair], *, confidence: float = 0.95) -> Estimate:
    """Return the last of `lift_sequence`, for far less: each lift is tried once.

    Args:
        cohorts: One or more, in the order in which their windows closed.
        confidence: That no interval up to this one misses the true lift.

    >>> lift_after_all([ArmPair(ArmCount(2400, 288), ArmCount(600, 36))])
    Estimate(value=0.06, low=0.0..., high=0.09...)
    """
    odds = float(-np.log1p(-confidence))
    accounts, returned = _counts(cohorts)
    values = [
        weighted_difference(cohorts[:number]) or 0.0
        for number in range(1, len(cohorts) + 1)
    ]
    centres = np.clip(values, -_WIDEST, _WIDEST)

    def gain(side: int, lift: float) -> float:
        found = evidence(accounts, returned, lift)
        # A look whose own value lies further out has nothing to say on this side.
        heard = np.where((lift - centres) * side > 0, found, 0.0).max()
        return _straight(float(heard), odds)

    return _estimate(
        values[-1],
        _bound(partial(gain, -1), float(centres.max()), -_WIDEST, -1),
        _bound(partial(gain, 1), float(centres.min()), _WIDEST, 1),
    )


def _estimate(value: float, low: float, high: float) -> Estimate:
    """Return an estimate; an end that nothing moved is as far as there is."""
    low, high = -1.0 if low == -_WIDEST else low, 1.0 if high == _WIDEST else high
    # After a lucky start the value may come to lie where earlier cohorts were not.
    return Estimate(value, *_with(value, low, high) if low < high else (low, high))


def _with(value: float, low: float, high: float) -> tuple[float, float]:
    return min(low, value), max(high, value)


def _straight(evidence: float, odds: float) -> float:
    """Return how far evidence is above the odds, as a nearly straight line.

    It grows with the square of the distance, which a search by secants does not like.
    """
    return sqrt(max(evidence, 0.0)) - sqrt(odds)


def _bound(
    gain: Callable[[float], float], inside: float, end: float, side: int
) -> float:
    """Return how far `end` moves inwards; all the way if nothing is inside."""
    gain = cache(gain)  # both ends are asked for again by the search
    if gain(end) < 0:
        return end
    if gain(inside) >= 0:
        return inside
    return float(brentq(gain, end, inside, xtol=_PRECISION)) + side * _PRECISION


def _counts(cohorts: Sequence[ArmPair]) -> tuple[Ints, Ints]:
    counts = [[(arm.accounts, arm.returned) for arm in pair] for pair in cohorts]
    accounts, returned = np.moveaxis(np.reshape(counts, (-1, 2, 2)), -1, 0).astype(int)
    return accounts, returned


def excludes_none(cohorts: Sequence[ArmPair], *, confidence: float = 0.95) -> bool:
    """Say whether a lift of 0 is out; far cheaper than where the interval ends."""
    return bool((lift_evidence(cohorts, 0.0) >= -np.log1p(-confidence)).any())


def lift_evidence(cohorts: Sequence[ArmPair], lift: float) -> Floats:
    """Return the log of what betting against a lift has made of 1 after each cohort.

    Args:
        cohorts: In the order in which their windows closed.
        lift: Treated minus holdout, above -1 and below 1.
    """
    return evidence(*_counts(cohorts), lift)


def evidence(accounts: Ints, returned: Ints, lift: float) -> Floats:
    """Return the log of what betting against a lift has made of 1 after each cohort.

    For each pair of rates that the truth may be near, the bet of a cohort is how much
    likelier that pair makes its counts than the nearest pair of the given lift does. On
    that whole line the expected gain is concave in the rate with its maximum at the
    nearest pair, where it is 1: so it is at most 1 for every rate that the cohort may
    have, be it another than that of the cohort before.

    Args:
        accounts: Of each cohort and arm, treated first; shape (cohorts, 2).
        returned: How many of them came back; shape (…, cohorts, 2), for any number of
            programmes of these cohorts.
        lift: Treated minus holdout, above -1 and below 1.

    Returns:
        Of shape (…, cohorts).
    """
    treated, holdout, weights = _bets()
    came, stayed = _gains(accounts[:, :, np.newaxis], treated, holdout, lift)
    won = np.zeros((*returned.shape[:-2], len(weights)))
    after = np.empty(returned.shape[:-1])
    for number, arms in enumerate(np.moveaxis(returned, -2, 0)):
        won += arms @ came[:, number] + (accounts[number] - arms) @ stayed[:, number]
        after[..., number] = _log_sum(won + weights)
    return after


def _evidence_at_last(accounts: Ints, returned: Ints, lift: float) -> float:
    treated, holdout, weights = _bets()
    came, stayed = _gains(accounts[:, :, np.newaxis], treated, holdout, lift)
    missing = accounts - returned
    won = np.einsum("ca,acb", returned, came) + np.einsum("ca,acb", missing, stayed)
    return float(_log_sum(won + weights))


def _log_sum(logs: Floats) -> Floats:
    """Return the logarithm of the sum of what `logs` are the logarithms of."""
    top = logs.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(logs - top).sum(axis=-1)) + top[..., 0])


def _gains(
    accounts: Ints, treated: Floats, holdout: Floats, lift: float
) -> tuple[Floats, Floats]:
    """Return the log-gain of an account that came back, and of one that did not.

    Both of shape (2, cohorts, bets). A cohort that lacks an arm can say nothing.
    """
    ours, theirs = accounts[:, 0], accounts[:, 1]
    has_both = (ours > 0) & (theirs > 0)
    first, other = np.where(has_both, ours, 1.0), np.where(has_both, theirs, 1.0)
    expected = first * treated, other * holdout
    second = second_rate(expected, (first, other), np.array(lift))
    bets = np.stack(np.broadcast_arrays(treated, holdout))[:, np.newaxis]
    nearest = np.clip(np.stack([second + lift, second]), _LEAST, 1 - _LEAST)
    came, stayed = np.log(bets / nearest), np.log((1 - bets) / (1 - nearest))
    return came * has_both, stayed * has_both


@cache
def _bets() -> tuple[Floats, Floats, Floats]:
    """Return rates of both arms, and the log of the share that is bet on each pair.

    Win-back rates from 1 to 60 %, log-odds ratios up to 2 either way and likelier near
    0. Other choices are as right; these are strong where campaigns are.
    """
    rates = np.linspace(np.log(0.01 / 0.99), np.log(0.6 / 0.4), 7)
    ratios = np.linspace(-2, 2, 41)
    holdout, ratio = (axis.ravel() for axis in np.meshgrid(rates, ratios))
    weights = -2 * ratio**2
    return expit(holdout + ratio), expit(holdout), weights - _log_sum(weights)


_RETURNED, _STAYED = 1.0, 7.0
"""A rate is bet to be near one in eight, with little conviction."""


def rate_sequence(
    counts: Sequence[ArmCount], *, confidence: float = 0.95
) -> list[Estimate]:
    """Return an arm's rate after each cohort, with intervals that hold at all looks.

    Each is made of all that is known then and may grow again: unlike a lift, a rate
    moves with the season, and what a summer excluded may be true in winter.

    Args:
        counts: Of each cohort, in the order in which their windows closed.
        confidence: That no interval misses the true rate, while that is one; of a rate
            that moves, that an interval holds its mean so far.

    Source: H. Robbins, Annals of Mathematical Statistics 41 (1970), 1397-1409.

    >>> rate_sequence([ArmCount(100, 12)])
    [Estimate(value=0.12, low=0.046..., high=0.236...)]
    """
    odds = float(-np.log1p(-confidence))
    return [_rate(total, odds) for total in _totals(counts)]


def _totals(counts: Sequence[ArmCount]) -> Iterator[ArmCount]:
    accounts = returned = 0
    for each in counts:
        accounts, returned = accounts + each.accounts, returned + each.returned
        yield ArmCount(accounts, returned)


def _rate(count: ArmCount, odds: float) -> Estimate:
    def gain(rate: float) -> float:
        return _mixed(count) - _log_likelihood(count, rate) - odds

    if not count.accounts:
        return Estimate(0.0, 0.0, 1.0)
    value = count.returned / count.accounts
    low = 0.0 if value == 0 else _bound(gain, value, _LEAST, -1)
    high = 1.0 if value == 1 else _bound(gain, value, 1 - _LEAST, 1)
    return Estimate(value, max(low, 0.0), min(high, 1.0))


def _log_likelihood(count: ArmCount, rate: float) -> float:
    missing = count.accounts - count.returned
    return float(xlogy(count.returned, rate) + xlog1py(missing, -rate))


def _mixed(count: ArmCount) -> float:
    missing = count.accounts - count.returned
    mixed = betaln(_RETURNED + count.returned, _STAYED + missing)
    return float(mixed - betaln(_RETURNED, _STAYED))


def against_pilot(
    counts: Sequence[ArmCount], pilot: ArmCount, *, confidence: float = 0.95
) -> list[Estimate]:
    """Return an arm's rate minus the pilot's after each cohort; holds at all looks.

    Unlike a holdout, the pilot was over before: it has one rate, whose exact interval
    and the arm's at all looks each take half of the error. An interval may grow again,
    as those of a rate may.

    Args:
        counts: Of each cohort, in the order in which their windows closed.
        pilot: Its accounts, one or more, and how many of them came back.
        confidence: That no interval misses the true difference.

    >>> against_pilot([ArmCount(3000, 450)], ArmCount(600, 72))
    [Estimate(value=0.03, low=-0.02..., high=0.08...)]
    """
    each = (1 + confidence) / 2
    before = exact_interval(pilot, confidence=each)
    if before is None:
        raise ValueError("a pilot without accounts has no rate")
    return [
        Estimate(now.value - before.value, now.low - before.high, now.high - before.low)
        for now in rate_sequence(counts, confidence=each)
    ]
