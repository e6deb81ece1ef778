"""How many will have come back, while windows are still open."""

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate, exact_interval


def returned_share(
    returned: Sequence[float],
    watched: Sequence[tuple[float, int]],
    *,
    confidence: float = 0.95,
) -> Estimate | None:
    """Return the share that has come back by the longest time anybody was watched.

    Accounts that were watched for a week say something of the first week alone. None
    if nobody was watched. Right for one look, and no ground for a verdict: who returns
    early is not who returns late.
    Source: E. Kaplan and P. Meier, Journal of the American Statistical Association 53
    (1958), 457-481; Greenwood's variance on the scale of log(-log), as by J. D.
    Kalbfleisch and R. Prentice, The Statistical Analysis of Failure Time Data (1980).

    Args:
        returned: After how long each account that came back did, in days.
        watched: For how long accounts that did not were watched, and how many.
        confidence: Of the interval.

    >>> returned_share([1.0, 3.0], [(2.0, 4), (5.0, 4)])
    Estimate(value=0.27..., low=0.07..., high=0.76...)
    """
    lengths, counts = zip(*watched, strict=True) if watched else ((), ())
    still_away = np.repeat(lengths, counts)
    if not returned and not still_away.size:
        return None
    if not returned:
        last = int((still_away == still_away.max()).sum())
        return exact_interval(ArmCount(last, 0), confidence=confidence)
    moments, came = np.unique(returned, return_counts=True)
    times = np.sort(np.concatenate([returned, still_away]))
    at_risk = times.size - np.searchsorted(times, moments)
    if came[-1] == at_risk[-1]:
        return Estimate(1.0, 0.0, 1.0)
    away = float(np.prod(1 - came / at_risk))
    variance = float(np.sum(came / (at_risk * (at_risk - came))))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance) / abs(log(away))
    low, high = (1 - away ** exp(side * reach) for side in (-1, 1))
    return Estimate(1 - away, low, high)
