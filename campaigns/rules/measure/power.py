"""What a programme can show, said before it is launched."""

from collections.abc import Sequence
from math import log, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np

from campaigns.rules.measure.restricted import Floats
from campaigns.rules.measure.sequential import evidence

_PROGRAMMES: Final = 200
_HALVINGS: Final = 9


def chance_to_show(
    cohorts: Sequence[tuple[int, int]],
    *,
    base_rate: float,
    lift: float,
    confidence: float = 0.95,
    seed: int = 0,
) -> Floats:
    """Return the chance that a lift has been shown once each cohort's window closed.

    By 200 simulated programmes that are looked at as real ones are, so it is right to
    about 3 points.

    Args:
        cohorts: Accounts treated and held out, of each, in order.
        base_rate: True rate of those held out.
        lift: True rate of those treated, minus that.
        confidence: Of the sequence.
        seed: Of what is drawn.

    >>> chance_to_show([(2400, 600)], base_rate=0.06, lift=0.06)
    array([0.9...])
    """
    accounts = np.array(cohorts)
    rates = np.clip([base_rate + lift, base_rate], 0, 1)
    rng = np.random.default_rng(seed)
    returned = rng.binomial(accounts, rates, (_PROGRAMMES, *accounts.shape))
    found = evidence(accounts, returned, 0.0) >= -log(1 - confidence)
    return np.asarray(np.maximum.accumulate(found, axis=1).mean(axis=0))


def least_lift_shown(
    cohorts: Sequence[tuple[int, int]],
    *,
    base_rate: float,
    power: float = 0.8,
    confidence: float = 0.95,
    seed: int = 0,
) -> float | None:
    """Return the smallest lift that such a programme shows with a chance of `power`.

    None if it would not show even that everybody comes back.
    """

    def is_shown(lift: float) -> bool:
        chance = chance_to_show(
            cohorts, base_rate=base_rate, lift=lift, confidence=confidence, seed=seed
        )
        return bool(chance[-1] >= power)

    small, large = 0.0, 1 - base_rate
    if not is_shown(large):
        return None
    for _ in range(_HALVINGS):
        middle = (small + large) / 2
        small, large = (small, middle) if is_shown(middle) else (middle, large)
    return large


def power_of_one_look(
    treated: float, holdout: float, *, rates: tuple[float, float], level: float = 0.05
) -> float:
    """Return the chance that a two-sided z-test at one look finds a difference.

    For comparison: the verdict is by sequences, which ask for more.
    Source: J. Fleiss, A. Tytun and H. Ury, Biometrics 36 (1980), 343-346, without
    their correction for continuity.

    Args:
        treated: How many accounts get mails.
        holdout: How many are held out.
        rates: True ones of treated and holdout, between 0 and 1.
        level: Of the test.

    >>> round(power_of_one_look(76.70692, 76.70692, rates=(0.5, 0.75)), 4)
    0.9
    """
    p, q = rates
    mean = (treated * p + holdout * q) / (treated + holdout)
    at_null = sqrt(mean * (1 - mean) * (1 / treated + 1 / holdout))
    spread = sqrt(p * (1 - p) / treated + q * (1 - q) / holdout)
    normal = NormalDist()
    reach = normal.inv_cdf(1 - level / 2) * at_null
    return sum(normal.cdf((sign * (p - q) - reach) / spread) for sign in (1, -1))


def least_convincing(
    accounts: int, *, baseline: float, level: float = 0.05
) -> tuple[int, float]:
    """Return from how many returns on an arm beats a fixed rate, and the level kept.

    By the exact one-sided binomial test.

    >>> least_convincing(200, baseline=0.12)
    (33, 0.036...)
    """
    from scipy.stats import binom

    returned = int(binom.isf(level, accounts, baseline)) + 1
    return returned, float(binom.sf(returned - 1, accounts, baseline))
