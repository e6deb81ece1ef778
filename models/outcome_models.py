"""Models of an outcome, alike for all that learn from one: plain, or of trees."""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

Numbers = NDArray[np.float64]
Learner = Literal["logistic", "trees"]

_MAX_ITER: Final = 1000
TREES: Final[dict[str, Any]] = {
    # What mails add is small beside what else moves an account: small, slow trees.
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "early_stopping": False,
}
"""How trees are grown, wherever they are."""


def chance_model(
    learner: Learner,
    X: Numbers,
    y: Numbers,
    weight: Numbers | None = None,
    *,
    random_state: int | None = None,
) -> Any:  # noqa: ANN401 — scikit-learn has no types
    """Return a fitted model of a chance, where outcomes are 0 or 1, else of amounts.

    Outcomes that are all alike are expected to stay so.

    Raises:
        ValueError: There is no such learner.
    """
    if not np.isin(y, (0, 1)).all() or (y == y[0]).all():
        return amount_model(learner, X, y, weight, random_state=random_state)
    if learner == "trees":
        trees = HistGradientBoostingClassifier(**TREES, random_state=random_state)
        return trees.fit(X, y, sample_weight=weight)
    linear = LogisticRegression(max_iter=_MAX_ITER, random_state=random_state)
    return _on_scaled(linear, learner).fit(X, y, linear__sample_weight=weight)


def amount_model(
    learner: Learner,
    X: Numbers,
    y: Numbers,
    weight: Numbers | None = None,
    *,
    random_state: int | None = None,
) -> Any:  # noqa: ANN401 — scikit-learn has no types
    """Return a fitted model of amounts.

    Raises:
        ValueError: There is no such learner.
    """
    if (y == y[0]).all():
        return DummyRegressor().fit(X, y)
    if learner == "trees":
        trees = HistGradientBoostingRegressor(**TREES, random_state=random_state)
        return trees.fit(X, y, sample_weight=weight)
    linear = Ridge(random_state=random_state)
    return _on_scaled(linear, learner).fit(X, y, linear__sample_weight=weight)


def _on_scaled(linear: Any, learner: str) -> Pipeline:  # noqa: ANN401
    if learner != "logistic":
        raise ValueError(f"there is no learner {learner!r}; there are logistic, trees")
    return Pipeline(
        [
            ("known", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
            ("linear", linear),
        ]
    )


def expected(model: Any, X: Numbers) -> Numbers:  # noqa: ANN401
    """Return the outcome that a model expects of each account."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X)[:, 1])
    return np.asarray(model.predict(X))
