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
from campaigns.rules.measure.sequential import lift_evidence
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
    The variance is taken as if all cohorts had the same two rates, which is never less
    than with rates of their own. Right for many accounts; with few, the intervals were
    wide enough in all trials (`make proof-measurement`).

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
    variance = _variances(accounts, returned, weights)
    weight = weights.cumsum()
    odds = -2 * np.log1p(-confidence)
    most = np.sqrt((variance + _ETA) * (odds + np.log((variance + _ETA) / _ETA)))
    value, reach = (each / np.maximum(weight, 1) for each in (summed, most))
    reach[weight == 0] = 1.0
    ends = np.clip([value - reach, value + reach], -1, 1)
    return [Estimate(*map(float, each)) for each in zip(value, *ends, strict=True)]


def _variances(accounts: Floats, returned: Floats, weights: Floats) -> Floats:
    """Return the variance of the weighted sum of differences after each cohort."""
    # One account more that came back and one that did not: no rate is known to be 0.
    rates = (returned.cumsum(axis=0) + 1) / (accounts.cumsum(axis=0) + 2)
    spread = weights[:, np.newaxis] ** 2 / np.maximum(accounts, 1)
    found: Floats = (rates * (1 - rates) * spread.cumsum(axis=0)).sum(axis=1)
    return found


def programme_verdict(
    cohorts: Sequence[ArmPair],
    lifts: Sequence[Estimate],
    *,
    is_over: bool,
    confidence: float = 0.95,
) -> Verdict:
    """Return what may be claimed of all campaigns together.

    A claim takes two things: bets, which are right at any counts, against that no mail
    does anything at all, and a mean that lies on one side of 0. What was shown once
    stays; if the contrary is shown later, the mean has moved.

    Args:
        cohorts: Of all campaigns, in the order in which their windows closed; at least
            one of them with both arms.
        lifts: What `mean_lift_sequence` returns of them.
        is_over: Whether no further window will close.
        confidence: That nothing is claimed where no mail does anything.
    """
    evidence = lift_evidence(cohorts, 0.0)
    does_something = evidence >= -np.log1p(-confidence)
    shown = {
        verdict_of(lift, is_over=False)
        for lift, is_known in zip(lifts, does_something, strict=True)
        if is_known
    } - {Verdict.CANNOT_TELL_YET}
    if shown:
        return shown.pop() if len(shown) == 1 else Verdict.LIFT_CHANGED
    value, low, high = lifts[-1]
    return verdict_of(Estimate(value, min(low, 0), max(high, 0)), is_over=is_over)


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
