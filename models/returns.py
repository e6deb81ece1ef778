"""Returns over time: which model states them best, judged on later windows only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from models.calibration import Calibration, calibration

Numbers = NDArray[np.float64]

FEWEST_RETURNS: Final = 20
"""With fewer returns to learn from, or to judge by, nothing is stated."""

_DRAWS: Final = 400


class Window(NamedTuple):
    """Churned accounts at a cutoff, and who of them came back within the window.

    Attributes:
        cutoff: Features know nothing at or after it.
        accounts: Their ids, in order of the rows.
        X: Features (n_accounts, n_features).
        came_back: 0 or 1 of each.
    """

    cutoff: datetime
    accounts: NDArray[Any]
    X: Numbers
    came_back: Numbers


class Difference(NamedTuple):
    """How much better one model ranks than another, with its interval."""

    value: float
    low: float
    high: float


class Standing(NamedTuple):
    """What a model reaches on windows later than those it learnt from.

    Attributes:
        auc: The chance that it ranks an account that came back above one that did not.
        over_champion: Its AUC minus that of the first model.
        calibration: Whether what it states is kept.
    """

    auc: float
    over_champion: Difference
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that was chosen, and how all of them stood.

    Attributes:
        name: Which.
        model: Fitted on all windows.
        standings: Of each, by name; the first is the one to beat.
        judge: A model of the same kind that learnt from the earlier windows only.
        earlier: The rows of those, all together.
        later: The rows that the models were judged by.
    """

    name: str
    model: Any
    standings: dict[str, Standing]
    judge: Any
    earlier: Window
    later: Window


def split(
    windows: Sequence[Window], *, horizon: timedelta
) -> tuple[list[Window], list[Window]]:
    """Return the windows to learn from and the later ones to judge by.

    Those to learn from had closed, horizon and all, when the first to judge by began:
    what a model is judged by lay in the future when it could have been trained. Of the
    ways to cut, it is the one with most windows to learn from that leaves enough
    returns to judge by.

    Raises:
        ValueError: Too few accounts came back before or after every cut.
    """
    ordered = sorted(windows, key=lambda window: window.cutoff)
    for first in reversed(range(1, len(ordered))):
        later = ordered[first:]
        earlier = [w for w in ordered if w.cutoff + horizon <= later[0].cutoff]
        if min(_fewest(earlier), _fewest(later)) >= FEWEST_RETURNS:
            return earlier, later
    accounts = max((len(window.came_back) for window in windows), default=0)
    raise ValueError(
        f"of up to {accounts:,} churned accounts at {len(windows)} cutoffs, "
        f"{accounts_back(windows):,} came back within {horizon.days} days; a model "
        f"needs {FEWEST_RETURNS} that did and {FEWEST_RETURNS} that did not to learn "
        "from, and as many later ones to be judged by"
    )


def _fewest(windows: Sequence[Window]) -> int:
    away = (int((window.came_back == 0).sum()) for window in windows)
    return min(accounts_back(windows), max(away, default=0))


def accounts_back(windows: Sequence[Window]) -> int:
    """Return how many accounts came back; one that stands in several windows is one."""
    back = [window.accounts[window.came_back > 0] for window in windows]
    return len(np.unique(np.concatenate(back))) if back else 0


def choose(
    windows: Sequence[Window],
    candidates: Mapping[str, Any],
    *,
    horizon: timedelta,
    random_state: int = 0,
) -> Choice:
    """Return the best of some models, the first unless another is shown to be better.

    Args:
        windows: Of which the later ones judge models of the earlier ones.
        candidates: Models by name, not fitted; simple ones first.
        horizon: In which time accounts could come back.
        random_state: Of the draws that intervals are made from.

    Raises:
        ValueError: Too few accounts came back to learn from, or to judge by.
    """
    earlier, later = split(windows, horizon=horizon)
    learnt, judged = pooled(earlier), pooled(later)
    fitted = {
        name: clone(model).fit(learnt.X, learnt.came_back)
        for name, model in candidates.items()
    }
    stated = {
        name: model.predict_proba(judged.X)[:, 1] for name, model in fitted.items()
    }
    first = next(iter(stated.values()))
    standings = {
        name: Standing(
            float(roc_auc_score(judged.came_back, chance)),
            auc_difference(judged, chance, first, random_state=random_state),
            calibration(judged.came_back, chance, random_state=random_state),
        )
        for name, chance in stated.items()
    }
    better = [name for name, each in standings.items() if each.over_champion.low > 0]
    name = max(better, key=lambda n: standings[n].auc, default=next(iter(stated)))
    everything = pooled(windows)
    return Choice(
        name,
        clone(candidates[name]).fit(everything.X, everything.came_back),
        standings,
        fitted[name],
        learnt,
        judged,
    )


def auc_difference(
    judged: Window,
    chance: Numbers,
    other: Numbers,
    *,
    confidence: float = 0.95,
    random_state: int = 0,
) -> Difference:
    """Return how much better `chance` ranks than `other`, by a paired bootstrap.

    Accounts are drawn whole, with all windows they stand in. The interval is a normal
    one with the draws' deviation: no number of draws tells the ends of a long tail.
    """
    y = judged.came_back
    value = float(roc_auc_score(y, chance) - roc_auc_score(y, other))
    areas = [_area_by_weight(y, each) for each in (chance, other)]
    ids, number = np.unique(judged.accounts, return_inverse=True)
    rng = np.random.default_rng(random_state)
    drawn = []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(0, len(ids), len(ids)), minlength=len(ids))
        weight = times[number].astype(float)
        if 0 < weight @ y < weight.sum():
            drawn.append(areas[0](weight) - areas[1](weight))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.std(drawn, ddof=1))
    return Difference(value, value - reach, value + reach)


def _area_by_weight(y: Numbers, chance: Numbers) -> Callable[[Numbers], float]:
    """Return what tells the AUC of weighed accounts, once they are put in order."""
    order = np.argsort(chance, kind="stable")
    starts = np.flatnonzero(np.diff(chance[order], prepend=-np.inf))
    back = y[order]

    def area(weight: Numbers) -> float:
        weight = weight[order]
        positive = np.add.reduceat(weight * back, starts)
        negative = np.add.reduceat(weight * (1 - back), starts)
        below = np.cumsum(negative) - negative / 2  # ties count as half
        return float(positive @ below / (positive.sum() * negative.sum()))

    return area


def pooled(windows: Sequence[Window]) -> Window:
    """Return the rows of all windows as one; its cutoff is the last one's."""
    return Window(
        max(window.cutoff for window in windows),
        np.concatenate([window.accounts for window in windows]),
        np.concatenate([window.X for window in windows]),
        np.concatenate([window.came_back for window in windows]),
    )
