"""Models of an outcome, alike for all that learn from one: plain, or of trees."""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

Numbers = NDArray[np.float64]
Learner = Literal["logistic", "trees"]

_MAX_ITER: Final = 1000
_FOLDS: Final = 3
_FEWEST_FOR_FOLDS: Final = 30
_PENALTIES: Final = (0.0003, 0.001, 0.01, 0.1, 1.0)
_TREES: Final[dict[str, Any]] = {
    # What mails add is small beside what else moves an account: small, slow trees.
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "early_stopping": False,
}


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
        return trees_of_chances(X, random_state).fit(X, y, trees__sample_weight=weight)
    return _on_scaled(linear_model_of(y, random_state), learner).fit(
        X, y, linear__sample_weight=weight
    )


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
        trees = HistGradientBoostingRegressor(**_TREES, random_state=random_state)
        return _on_varying(trees, X).fit(X, y, trees__sample_weight=weight)
    linear = Ridge(random_state=random_state)
    return _on_scaled(linear, learner).fit(X, y, linear__sample_weight=weight)


def trees_of_chances(X: Numbers, random_state: int | None) -> Pipeline:
    """Return trees of a chance, not fitted, for features like `X`."""
    trees = HistGradientBoostingClassifier(**_TREES, random_state=random_state)
    return _on_varying(trees, X)


def _on_varying(trees: Any, X: Numbers) -> Pipeline:  # noqa: ANN401
    """Return trees that are shown no column that is alike, or missing, throughout."""
    varies = np.flatnonzero([len(np.unique(c[~np.isnan(c)])) > 1 for c in X.T])
    # Where nothing varies one column stands for all: trees need something to look at.
    kept = varies if len(varies) else [0]
    chosen = ColumnTransformer([("varying", "passthrough", list(map(int, kept)))])
    known = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    first = [] if len(varies) else [("known", known)]
    return Pipeline([("varying", chosen), *first, ("trees", trees)])


def linear_model_of(y: NDArray[Any], random_state: int | None) -> Any:  # noqa: ANN401
    """Return a logistic model, not fitted, with as much penalty as its data ask for.

    How much is found on folds: with many features and few outcomes of one kind most of
    what an unpenalised model sees is noise. Where outcomes are too few for folds, the
    penalty is scikit-learn's own.
    """
    fewest = int(np.unique(y, return_counts=True)[1].min())
    if fewest < _FEWEST_FOR_FOLDS:
        return LogisticRegression(max_iter=_MAX_ITER, random_state=random_state)
    return LogisticRegressionCV(
        Cs=_PENALTIES,
        l1_ratios=(0.0,),
        cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=random_state),
        scoring="neg_log_loss",
        max_iter=_MAX_ITER,
        random_state=random_state,
        use_legacy_attributes=False,
    )


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
