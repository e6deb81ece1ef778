"""Whether arms were made by lot: a holdout that is not random teaches nothing."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import chi2, rankdata

from models.trial import Numbers, Trial

REFUSED_BELOW: Final = 0.001
_NAMED: Final = 3


class Balance(NamedTuple):
    """How like each other the arms are in what was known before.

    Attributes:
        p_value: The chance that a lot makes arms as different as these.
        differences: The features that differ most, each with the difference of the arms
            in standard deviations of its ranks, treated less the others.
    """

    p_value: float
    differences: dict[str, float]

    @property
    def is_random(self) -> bool:
        """Whether a lot can have made the arms."""
        return self.p_value >= REFUSED_BELOW


def balance(trial: Trial, names: Sequence[str]) -> Balance:
    """Return how alike two arms are, over all features together.

    Features count by their ranks, so one huge account decides nothing; that a number is
    missing is a feature too. Source: B. Hansen and J. Bowers, Statistical Science 23
    (2008), for chances that differ between accounts.

    Args:
        trial: Accounts that are said to be mailed, or not, by lot.
        names: Of the features.
    """
    ranks, labels = _ranked(trial.X, list(names))
    weight = trial.chance * (1 - trial.chance)
    if not labels:
        return Balance(1.0, {})
    centred = ranks - np.average(ranks, axis=0, weights=weight)
    surplus = centred.T @ (trial.mailed - trial.chance)
    spread = (centred * weight[:, None]).T @ centred
    freedom = int(np.linalg.matrix_rank(spread))
    statistic = float(surplus @ np.linalg.pinv(spread) @ surplus)
    apart = surplus / weight.sum()
    most = np.argsort(-np.abs(apart), kind="stable")[:_NAMED]
    return Balance(
        float(chi2.sf(statistic, freedom)),
        {labels[place]: float(apart[place]) for place in most},
    )


def _ranked(X: Numbers, names: list[str]) -> tuple[Numbers, list[str]]:
    """Return standardised ranks of what varies, and its names."""
    columns, labels = [], []
    for name, values in zip(names, X.T, strict=True):
        missing = np.isnan(values)
        parts = {
            name: rankdata(np.where(missing, np.nanmedian([*values, 0.0]), values)),
            f"{name} is missing": missing.astype(float),
        }
        for label, part in parts.items():
            if part.std() > 0:
                columns.append((part - part.mean()) / part.std())
                labels.append(label)
    shape = len(X), len(columns)
    return np.column_stack(columns) if columns else np.empty(shape), labels
