"""Whether stated chances are kept: of accounts given 10 %, one in ten comes back."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

Numbers = NDArray[np.float64]

BINS: Final = 10
_DRAWS: Final = 200
_SMALLEST: Final = 1e-9


class Bin(NamedTuple):
    """Accounts with chances alike.

    Attributes:
        accounts: How many.
        stated: The mean of their chances.
        observed: The share of them that came back.
    """

    accounts: int
    stated: float
    observed: float


class Calibration(NamedTuple):
    """How well stated chances are kept.

    Attributes:
        slope: Of the outcome's log odds on the stated ones: 1 if kept, below 1 if they
            say too much.
        error: Mean gap between stated and observed, over bins of as many accounts.
        noise: The error that a perfect forecast of these chances would show by luck.
        bins: The reliability curve.
    """

    slope: float
    error: float
    noise: float
    bins: tuple[Bin, ...]

    @property
    def error_above_noise(self) -> float:
        """The part of the error that luck does not explain."""
        return max(0.0, self.error - self.noise)


def calibration(
    came_back: ArrayLike, chance: ArrayLike, *, bins: int = BINS, random_state: int = 0
) -> Calibration:
    """Return how well the chances of accounts are kept.

    The slope is D. Cox's, Biometrika 45 (1958); the bins are of equal size, so that
    none is empty where most chances are small.

    Args:
        came_back: 0 or 1 of each account.
        chance: What was stated for it.
        bins: How many.
        random_state: Of the perfect forecasts that the noise is measured on.
    """
    came_back, chance = (np.asarray(each, dtype=float) for each in (came_back, chance))
    order = np.argsort(chance, kind="stable")
    places = np.array_split(order, min(bins, len(order)))
    rng = np.random.default_rng(random_state)
    lucky = [
        _error(rng.random(len(chance)) < chance, chance, places) for _ in range(_DRAWS)
    ]
    return Calibration(
        slope=_slope(came_back, chance),
        error=_error(came_back, chance, places),
        noise=float(np.mean(lucky)),
        bins=tuple(
            Bin(len(at), float(chance[at].mean()), float(came_back[at].mean()))
            for at in places
        ),
    )


def _error(
    came_back: Numbers | NDArray[np.bool_],
    chance: Numbers,
    places: list[NDArray[np.intp]],
) -> float:
    gaps = [abs(chance[at].mean() - came_back[at].mean()) * len(at) for at in places]
    return float(sum(gaps) / len(chance))


def _slope(came_back: Numbers, chance: Numbers) -> float:
    """Return NaN where all chances or all outcomes are alike: there is none."""
    if np.ptp(chance) == 0 or np.ptp(came_back) == 0:
        return float("nan")
    stated = np.clip(chance, _SMALLEST, 1 - _SMALLEST)
    odds = np.log(stated) - np.log1p(-stated)
    plain = LogisticRegression(C=np.inf, max_iter=1000)
    return float(plain.fit(odds[:, None], came_back).coef_[0, 0])
