"""Many small groups at once: what may be said of each of them."""

from collections.abc import Sequence

from scipy.special import betaincinv

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate, rate_interval


def adjusted_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many they are.

    Those at most q have a share of false ones of at most q on average.
    Source: Y. Benjamini and Y. Hochberg, Journal of the Royal Statistical Society B 57
    (1995), 289-300.

    >>> adjusted_p_values([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    from scipy.stats import false_discovery_control  # takes 0.5 s to import

    adjusted: list[float] = false_discovery_control(p_values).tolist()
    return adjusted


def shrunken_rates(
    counts: Sequence[ArmCount], *, confidence: float = 0.95
) -> list[Estimate | None]:
    """Return each group's rate, drawn towards that of all as far as it is uncertain.

    A group of five with two returns is no 40 % segment. How much groups differ is
    estimated from all of them, as a beta distribution by its first two moments; where
    they do not differ beyond chance every group gets nearly the common rate. None for
    an empty group.
    Source: B. Efron and C. Morris, Journal of the American Statistical Association 70
    (1975), 311-319, for rates of unequal sizes by J. Kleinman, same journal 68 (1973).

    >>> counts = ArmCount(5, 2), ArmCount(900, 90), ArmCount(800, 120)
    >>> [round(each.value, 3) for each in shrunken_rates(counts)]
    [0.14..., 0.10..., 0.14...]
    """
    mean, accounts = _common_rate_and_conviction(counts)
    tail = (1 - confidence) / 2
    found: list[Estimate | None] = []
    for each in counts:
        came = mean * accounts + each.returned
        stayed = (1 - mean) * accounts + each.accounts - each.returned
        if not each.accounts:
            found.append(None)
        elif not came or not stayed:
            # None of all came back, or each: no group tells what to draw it towards.
            found.append(rate_interval(each, confidence=confidence))
        else:
            low, high = betaincinv(came, stayed, [tail, 1 - tail])
            found.append(Estimate(came / (came + stayed), float(low), float(high)))
    return found


_MOST_CONVINCED = 1e6


def _common_rate_and_conviction(counts: Sequence[ArmCount]) -> tuple[float, float]:
    """Return the rate of all, and how many accounts' worth of it each group has."""
    whole = [each for each in counts if each.accounts]
    accounts = sum(each.accounts for each in whole)
    if not accounts:
        return 0.0, 0.0
    mean = sum(each.returned for each in whole) / accounts
    if len(whole) < 2 or not 0 < mean < 1:  # noqa: PLR2004 — one shows no difference
        return mean, 0.0
    spread = sum(n.accounts * (n.returned / n.accounts - mean) ** 2 for n in whole)
    by_chance = mean * (1 - mean)
    effective = accounts - sum(each.accounts**2 for each in whole) / accounts
    between = (spread - (len(whole) - 1) * by_chance) / effective
    conviction = by_chance / between - 1 if between > 0 else _MOST_CONVINCED
    return mean, min(max(conviction, 0.0), _MOST_CONVINCED)
