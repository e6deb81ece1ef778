"""Whether the accounts that are scored still look like those a model learnt from.

Each feature's values are put into the bins that held a tenth of the training rows each;
the population stability index compares the shares. Source: N. Siddiqi, Credit Risk
Scorecards, 2006. A small table moves it by chance: by (bins − 1)(1/n + 1/m) on average
(B. Yurdakul, J. Naranjo, 2020), which is allowed for.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.definitions import FEATURE_NAMES

_BINS: Final = 10
_LARGE: Final = 0.25
_SMALLEST_SHARE: Final = 1e-4


class Drift(NamedTuple):
    """A feature whose values have moved.

    Attributes:
        feature: Its name.
        shift: The population stability index.
        was: The median when the model was trained; None if it was never known.
        now: The median now.
    """

    feature: str
    shift: float
    was: float | None
    now: float | None


def reference_of(features: pl.DataFrame) -> dict[str, Any]:
    """Return, as plain values, what later tables are compared with."""
    reference: dict[str, Any] = {"rows": features.height}
    for name in FEATURE_NAMES:
        values = _values(features, name)
        known = values[~np.isnan(values)]
        edges = np.empty(0)
        if len(known):
            edges = _edges(known)
        reference[name] = {
            "edges": edges.tolist(),
            "shares": _shares(values, edges).tolist(),
            "median": _median(values),
        }
    return reference


def _edges(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper ends of all bins but the last.

    A value that fills a bin by itself gets one to itself: so a fall from it shows as a
    rise would.
    """
    edges, times = np.unique(
        np.quantile(known, np.arange(1, _BINS) / _BINS, method="lower"),
        return_counts=True,
    )
    return np.unique(np.append(edges, np.nextafter(edges[times > 1], -np.inf)))


def find_drift(features: pl.DataFrame, reference: dict[str, Any]) -> list[Drift]:
    """Return the features that have moved, the one that moved most first."""
    found: list[Drift] = []
    if features.is_empty() or not reference.get("rows"):
        return found
    noise = 1 / features.height + 1 / reference["rows"]
    for name in FEATURE_NAMES:
        then = reference[name]
        values = _values(features, name)
        shares = _shares(values, np.asarray(then["edges"]))
        were = np.asarray(then["shares"])
        shift = stability_index(were, shares)
        # A bin that nothing is in, then or now, adds no chance.
        filled = np.count_nonzero((were > 0) | (shares > 0))
        if shift > _LARGE + (filled - 1) * noise:
            found.append(Drift(name, shift, then["median"], _median(values)))
    return sorted(found, key=lambda each: (-each.shift, each.feature))


def stability_index(then: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Return the population stability index of two lists of shares.

    >>> round(stability_index(np.array([0.5, 0.5]), np.array([0.8, 0.2])), 3)
    0.416
    """
    then, now = (np.maximum(each, _SMALLEST_SHARE) for each in (then, now))
    return float(np.sum((now - then) * np.log(now / then)))


def _values(features: pl.DataFrame, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = features[name].cast(pl.Float64).to_numpy()
    return values


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def _shares(
    values: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of each bin, of missing values last."""
    missing = np.isnan(values)
    places = np.searchsorted(edges, values[~missing], side="left")
    counts = np.bincount(places, minlength=len(edges) + 1)
    shares: NDArray[np.float64] = np.append(counts, missing.sum()) / max(1, len(values))
    return shares
