"""How good a classifier is, on rows it did not learn from."""

from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.metrics import confusion_matrix, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from models.calibration import Bin, calibration

_ERROR: Final = 0.05
_TRIES_A_YEAR: Final = 52
_LAST: Final = 0.25
_FEWEST: Final = 20


class Metrics(NamedTuple):
    """What a classifier reached on accounts that were held back.

    Attributes:
        accuracy: Share of accounts given the right segment.
        balanced_accuracy: The same, each segment weighing alike.
        chance: Accuracy of always naming the commonest segment.
        log_loss: In nats; lower is better.
        calibration_error: Mean gap between what was stated of the likeliest segment
            and how often it was right.
        calibration_noise: The gap that luck alone would leave.
        bins: The reliability curve of that.
        accounts: How many labels this was measured on.
        confusion: How often each segment, in order, was given each: rows are labels.
    """

    accuracy: float
    balanced_accuracy: float
    chance: float
    log_loss: float
    calibration_error: float
    calibration_noise: float
    bins: tuple[Bin, ...]
    accounts: int
    confusion: tuple[tuple[int, ...], ...]


class Against(NamedTuple):
    """How a classifier does beside the one that is used, on what neither had seen.

    Attributes:
        version: Of the one that is used.
        accounts: How many labels they were compared on.
        only_new: How many of them only the new one has right.
        only_used: How many only the used one has.
    """

    version: str
    accounts: int
    only_new: int
    only_used: int

    @property
    def is_better(self) -> bool:
        """Whether the new one is shown to be better: it is asked every week."""
        return _is_more(self.only_new, self.only_used, error=_ERROR / _TRIES_A_YEAR)

    @property
    def is_worse(self) -> bool:
        """Whether the new one is shown to be worse."""
        return _is_more(self.only_used, self.only_new, error=_ERROR)


def _is_more(some: int, others: int, *, error: float) -> bool:
    """Say whether accounts that one alone has right are more by other than luck.

    By an exact test of whether they are evenly divided (Q. McNemar, Psychometrika 12,
    1947).
    """
    apart = some + others
    if not apart:
        return False
    return bool(binomtest(some, apart, alternative="greater").pvalue < error)


def cross_validate(
    classifier: Any,  # noqa: ANN401 — scikit-learn has no types
    X: NDArray[np.float64],
    y: NDArray[Any],
    *,
    folds: int = 5,
    random_state: int = 0,
) -> tuple[Metrics, NDArray[Any]]:
    """Return what `classifier` reaches on each fold after learning from the others.

    Returns:
        What it reaches, and the segment that it gives each account.
    """
    split = StratifiedKFold(folds, shuffle=True, random_state=random_state)
    chances = cross_val_predict(
        clone(classifier), X, y, cv=split, method="predict_proba"
    )
    classes = np.unique(y)
    return _metrics(y, chances, classes), classes[chances.argmax(axis=1)]


def against(
    version: str, y: NDArray[Any], given: NDArray[Any], by_used: NDArray[Any]
) -> Against:
    """Return how `given` segments do beside those `by_used`, of the labels `y`."""
    new, used = given == y, by_used == y
    return Against(version, len(y), int((new & ~used).sum()), int((used & ~new).sum()))


def over_luck(metrics: Metrics) -> tuple[float, float, float]:
    """Return the balanced accuracy less that of guessing, with its interval (95 %).

    Each segment's share is a binomial one of its own labels; their mean is normal.
    """
    confusion = np.array(metrics.confusion, dtype=float)
    counts = confusion.sum(axis=1)
    right, counts = np.diag(confusion)[counts > 0], counts[counts > 0]
    # One more of each: no share is known to be 0 or 1.
    shares = (right + 1) / (counts + 2)
    error = float(np.sqrt((shares * (1 - shares) / counts).sum())) / len(counts)
    value = metrics.balanced_accuracy - 1 / len(counts)
    reach = NormalDist().inv_cdf(1 - _ERROR / 2) * error
    return value, value - reach, value + reach


def on_the_last(
    classifier: Any,  # noqa: ANN401 — scikit-learn has no types
    X: NDArray[np.float64],
    y: NDArray[Any],
    days_ago: NDArray[np.float64],
) -> Metrics | None:
    """Return what `classifier` reaches on the last to leave, from those before them.

    Folds mix all times; in use a model meets accounts that left after all it knows.

    Args:
        classifier: Not necessarily fitted.
        X: Features (n_accounts, n_features).
        y: The segment of each account.
        days_ago: When each left; the last quarter is held back.

    Returns:
        None where too few are left to learn from, or to judge by.
    """
    is_last = days_ago <= np.quantile(days_ago, _LAST)
    segments, counts = np.unique(y[~is_last], return_counts=True)
    if is_last.sum() < _FEWEST or len(segments) < 2 or counts.min() < 2:  # noqa: PLR2004
        return None
    fitted = clone(classifier).fit(X[~is_last], y[~is_last])
    classes = np.unique(y)
    chances = np.zeros((int(is_last.sum()), len(classes)))
    # A segment that none had before them is never named, and counts as missed.
    chances[:, np.isin(classes, fitted.classes_)] = fitted.predict_proba(X[is_last])
    return _metrics(y[is_last], chances, classes)


def _metrics(
    y: NDArray[Any], chances: NDArray[np.float64], classes: NDArray[Any]
) -> Metrics:
    predicted = classes[chances.argmax(axis=1)]
    kept = calibration(predicted == y, chances.max(axis=1))
    given, counts = np.unique(y, return_counts=True)
    confusion = confusion_matrix(y, predicted, labels=classes)
    is_given = np.isin(classes, given)
    recalls = np.diag(confusion)[is_given] / counts
    return Metrics(
        accuracy=float(np.mean(predicted == y)),
        balanced_accuracy=float(recalls.mean()),
        chance=float(counts.max() / len(y)),
        log_loss=float(log_loss(y, chances, labels=classes)),
        calibration_error=kept.error,
        calibration_noise=kept.noise,
        bins=kept.bins,
        accounts=len(y),
        confusion=tuple(map(tuple, confusion.tolist())),
    )
