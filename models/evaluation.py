"""How good a classifier is, on rows it did not learn from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict


class Metrics(NamedTuple):
    """What a classifier reached on held-back folds.

    Attributes:
        accuracy: Share of accounts given the right segment.
        balanced_accuracy: The same, each segment weighing alike.
        chance: Accuracy of always naming the commonest segment.
        log_loss: In nats; lower is better.
        expected_calibration_error: Mean gap between stated and true probability of
            the likeliest segment, over ten bins of equal width.
        accounts: How many labels this was measured on.
        confusion: How often each segment, in order, was given each: rows are labels.
    """

    accuracy: float
    balanced_accuracy: float
    chance: float
    log_loss: float
    expected_calibration_error: float
    accounts: int
    confusion: tuple[tuple[int, ...], ...]


def cross_validate(
    classifier: Any,  # noqa: ANN401 — scikit-learn has no types
    X: NDArray[np.float64],
    y: NDArray[Any],
    *,
    folds: int = 5,
    random_state: int = 0,
) -> Metrics:
    """Return what `classifier` reaches on each fold after learning from the others."""
    split = StratifiedKFold(folds, shuffle=True, random_state=random_state)
    chances = cross_val_predict(
        clone(classifier), X, y, cv=split, method="predict_proba"
    )
    classes, counts = np.unique(y, return_counts=True)
    predicted = classes[chances.argmax(axis=1)]
    return Metrics(
        accuracy=float(np.mean(predicted == y)),
        balanced_accuracy=float(balanced_accuracy_score(y, predicted)),
        chance=float(counts.max() / len(y)),
        log_loss=float(log_loss(y, chances, labels=classes)),
        expected_calibration_error=calibration_error(
            chances.max(axis=1), predicted == y
        ),
        accounts=len(y),
        confusion=tuple(map(tuple, confusion_matrix(y, predicted).tolist())),
    )


def calibration_error(
    stated: NDArray[np.float64], was_right: NDArray[np.bool_], *, bins: int = 10
) -> float:
    """Return the mean gap between stated and observed probability.

    Source: M. Naeini, G. Cooper, M. Hauskrecht, AAAI 2015.
    """
    places = np.minimum((stated * bins).astype(int), bins - 1)
    gap = 0.0
    for place in np.unique(places):
        inside = places == place
        gap += inside.mean() * abs(stated[inside].mean() - was_right[inside].mean())
    return float(gap)
