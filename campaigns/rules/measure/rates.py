"""The rate of one arm, with its interval, and against a fixed baseline."""

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from campaigns.domain.values import ArmCount


class Estimate(NamedTuple):
    """A number with its confidence interval.

    Attributes:
        value: The number itself, a share from 0 to 1 or a difference of two.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    value: float
    low: float
    high: float


class AgainstBaseline(NamedTuple):
    """How an arm compares with a fixed rate.

    Attributes:
        baseline: The fixed rate.
        p_greater: Chance of as many returns or more if the true rate were the baseline.
        p_less: Chance of as many returns or fewer.
        p_different: Chance of a count that is as unlikely as this one, or more so.
    """

    baseline: float
    p_greater: float
    p_less: float
    p_different: float


def rate_interval(count: ArmCount, *, confidence: float = 0.95) -> Estimate | None:
    """Return the rate of `count` with its Wilson interval; None for an empty arm.

    Keeps close to its nominal coverage down to small counts and stays within 0 and 1.
    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927).

    >>> rate_interval(ArmCount(accounts=1000, returned=150))
    Estimate(value=0.15, low=0.129..., high=0.173...)
    """
    n, k = count.accounts, count.returned
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(k * (n - k) / n + z * z / 4)
    # At the ends the formula is exactly 0 or 1; floating point may miss it.
    low = 0.0 if k == 0 else centre - half
    high = 1.0 if k == n else centre + half
    return Estimate(k / n, low, high)


def exact_interval(count: ArmCount, *, confidence: float = 0.95) -> Estimate | None:
    """Return the rate of `count` with its exact interval; None for an empty arm.

    Never misses more often than it says, so it is wider than Wilson's.
    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413.

    >>> exact_interval(ArmCount(accounts=20, returned=4))
    Estimate(value=0.2, low=0.057..., high=0.436...)
    """
    from scipy.special import betainccinv, betaincinv

    n, k = count.accounts, count.returned
    if n == 0:
        return None
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betainccinv(k + 1, n - k, tail))
    return Estimate(k / n, low, high)


def against_baseline(count: ArmCount, *, baseline: float) -> AgainstBaseline | None:
    """Return the exact binomial tests of `count` against `baseline`.

    The baseline is taken as known; None for an empty arm.
    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934).

    >>> against_baseline(ArmCount(accounts=500, returned=75), baseline=0.12)
    AgainstBaseline(baseline=0.12, p_greater=0.025..., p_less=0.98..., p_different=...)
    """
    from scipy.stats import binom, binomtest  # takes 0.5 s to import

    n, k = count.accounts, count.returned
    if n == 0:
        return None
    greater = float(binom.sf(k - 1, n, baseline))
    less = float(binom.cdf(k, n, baseline))
    different = float(binomtest(k, n, baseline).pvalue)
    return AgainstBaseline(baseline, greater, less, different)
