"""All campaigns of a programme together: what their mails add on the whole.

Campaigns need not add alike: one may bring many back and another none. What is asked
here is the mean over all accounts so far, which may move as campaigns come and go.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from campaigns.domain.words import Verdict
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.restricted import Floats
from campaigns.rules.measure.sequential import excludes_none
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.verdict import verdict_of

_ETA: Final = 5.0
"""Intervals are tightest where the variance of the weighted sum is about eight times as
much: at some three thousand accounts of which a fifth is held out and a tenth comes
back. Other choices are as right."""


def mean_lift_sequence(
    cohorts: Sequence[ArmPair], *, confidence: float = 0.95
) -> list[Estimate]:
    """Return the mean lift after each cohort, with intervals that hold at all looks.

    Each cohort's difference is weighed by what it can say, as Mantel and Haenszel do.
    The variance is taken as if all cohorts had the same two rates. Right for many
    accounts; with few, the intervals were wide enough in all trials (`make
    proof-measurement`).

    Args:
        cohorts: Of all campaigns, in the order in which their windows closed.
        confidence: That no interval misses the mean of the true lifts so far.

    Source: H. Robbins, Annals of Mathematical Statistics 41 (1970), 1397-1409; with an
    estimated variance and a mean that moves by I. Waudby-Smith et al., Annals of
    Statistics 52 (2024), 2613-2640.

    >>> from campaigns.domain.values import ArmCount
    >>> one, other = ArmCount(2400, 288), ArmCount(600, 36)
    >>> mean_lift_sequence([ArmPair(one, other)])
    [Estimate(value=0.059..., low=0.024..., high=0.095...)]
    """
    if not cohorts:
        return []
    counts = np.array(
        [[(arm.accounts, arm.returned) for arm in pair] for pair in cohorts], float
    )
    # A cohort that lacks an arm says nothing.
    counts[counts[..., 0].min(axis=1) == 0] = 0
    accounts, returned = counts[..., 0], counts[..., 1]
    weights = accounts.prod(axis=1) / np.maximum(accounts.sum(axis=1), 1)
    rates = returned / np.maximum(accounts, 1)
    summed = (weights * (rates[:, 0] - rates[:, 1])).cumsum()
    variance = _variances(accounts, rates, weights)
    odds = -2 * np.log1p(-confidence)
    most = np.sqrt((variance + _ETA) * (odds + np.log((variance + _ETA) / _ETA)))
    total = weights.cumsum()
    value, reach = (each / np.where(total > 0, total, 1) for each in (summed, most))
    reach[total == 0] = 1.0
    ends = np.clip([value - reach, value + reach], -1, 1)
    return [Estimate(*map(float, each)) for each in zip(value, *ends, strict=True)]


def _variances(accounts: Floats, rates: Floats, weights: Floats) -> Floats:
    """Return the variance of the weighted sum of differences after each cohort.

    An arm's rates are replaced by their mean, in which each weighs as it does in the
    variance: by concavity that is never less than with the rates themselves.
    """
    spread = weights[:, np.newaxis] ** 2 / np.maximum(accounts, 1)
    total = spread.cumsum(axis=0)
    mean = (spread * rates).cumsum(axis=0) / np.where(total > 0, total, 1)
    # One account more that came back and one that did not: no rate is known to be 0.
    known = accounts.cumsum(axis=0)
    careful = (mean * known + 1) / (known + 2)
    found: Floats = (careful * (1 - careful) * total).sum(axis=1)
    return found


def programme_verdict(
    cohorts: Sequence[ArmPair],
    lift: Estimate,
    *,
    is_over: bool,
    confidence: float = 0.95,
) -> Verdict:
    """Return what may be claimed of all campaigns together, as of now.

    A claim takes two things: bets, which are right at any counts, against that no mail
    does anything at all, and a mean that lies on one side of 0. The mean moves as
    campaigns come and go: what was claimed of it once need not hold for ever.

    Args:
        cohorts: Of all campaigns, in the order in which their windows closed.
        lift: The last that `mean_lift_sequence` returns of them.
        is_over: Whether no further window will close.
        confidence: That nothing is claimed where no mail does anything.
    """
    accounts = sum(arm.accounts for pair in cohorts for arm in pair)
    if not any(ours.accounts and theirs.accounts for ours, theirs in cohorts):
        return verdict_of(None, accounts=accounts, is_over=is_over)
    value, low, high = lift
    if not excludes_none(cohorts, confidence=confidence):
        low, high = min(low, 0.0), max(high, 0.0)
    lift = Estimate(value, low, high)
    return verdict_of(lift, accounts=accounts, is_over=is_over)


def standing_together(evidence: Sequence[float], *, rate: float = 0.05) -> list[bool]:
    """Say which of several findings stand when all of them are judged at once.

    Of those that stand, the share of false ones is at most `rate` on average, however
    the findings depend on each other, and at whatever moment each is looked at.
    Source: R. Wang and A. Ramdas, Journal of the Royal Statistical Society B 84 (2022),
    822-852: Benjamini and Hochberg's rule, for bets.

    Args:
        evidence: Log of what betting against each null has made of 1 by now.
        rate: The share of false findings that is allowed.

    >>> standing_together([5.0, 3.1, 0.0])
    [True, False, False]
    """
    order = np.argsort(evidence)[::-1]
    ranks = np.arange(1, len(order) + 1)
    is_enough = np.asarray(evidence)[order] >= np.log(len(order) / (ranks * rate))
    standing = set(order[: int(ranks[is_enough].max(initial=0))].tolist())
    return [number in standing for number in range(len(order))]
