"""Who comes back unprompted: the chance that a churned account returns by itself.

On real logs a plain logistic model of a few numbers is hard to beat. The others are
there to be tried against it on later windows, and mostly to lose.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from models.outcome_models import Learner, linear_model_of, trees_of_chances

Numbers = NDArray[np.float64]

_FOLDS: Final = 5
_SMALLEST: Final = 1e-9
_PENALTY: Final = 1e-5
_LARGEST_LOG: Final = 12.0


class _Returns(ClassifierMixin, BaseEstimator):
    """What all models of a return share: two classes, missing numbers, chances."""

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 — scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> "_Returns":
        """Learn from accounts `X` (n_accounts, n_features) and whether each came back.

        Raises:
            ValueError: All came back, or none did.
        """
        known, came_back = validate_data(self, X, y, ensure_all_finite="allow-nan")
        check_classification_targets(came_back)
        self.classes_, places = np.unique(came_back, return_inverse=True)
        if len(self.classes_) < 2:  # noqa: PLR2004
            raise ValueError(
                "needs accounts that came back and accounts that did not, has one class"
            )
        if len(self.classes_) > 2:  # noqa: PLR2004
            raise ValueError(
                "Only binary classification is supported. An account came back or it "
                f"did not; there are {len(self.classes_)} classes"
            )
        self._learn(known, places)
        return self

    def predict_proba(self, X: ArrayLike) -> Numbers:
        """Return each account's chance to stay away and to return: (n_accounts, 2)."""
        check_is_fitted(self)
        known = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        chance = self._chance(known)
        return np.column_stack([1 - chance, chance])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likelier of `classes_` for each account."""
        place = self.predict_proba(X).argmax(axis=1)
        likelier: NDArray[Any] = self.classes_[place]
        return likelier

    def _learn(self, X: Numbers, y: NDArray[np.intp]) -> None:
        raise NotImplementedError

    def _chance(self, X: Numbers) -> Numbers:
        raise NotImplementedError


class ReturnModel(_Returns):
    """The chance of a return, from any features.

    Args:
        learner: `logistic`, on logarithms, or `trees` (histogram gradient boosting,
            calibrated on folds it did not learn from).
        random_state: Pass an int for the same result on every run.

    Attributes:
        classes_: The two outcomes, sorted.
        n_features_in_: How many features were seen in `fit`.
        model_: The fitted model.
        n_iter_: Iterations the logistic model took.
    """

    def __init__(
        self, *, learner: Learner = "logistic", random_state: int | None = None
    ) -> None:
        self.learner = learner
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 — scikit-learn has no types
        tags = super().__sklearn_tags__()
        # Trees of large leaves see nothing in a few dozen accounts: on purpose.
        tags.classifier_tags.poor_score = self.learner == "trees"
        return tags

    def _learn(self, X: Numbers, y: NDArray[np.intp]) -> None:
        if self.learner == "trees":
            trees: Any = trees_of_chances(X, self.random_state)
            folds = min(_FOLDS, int(np.bincount(y).min()))
            if folds > 1:
                # ensemble=False: one model on all rows, and one pass to score with.
                trees = CalibratedClassifierCV(trees, cv=folds, ensemble=False)
            self.model_ = trees.fit(X, y)
            self.n_iter_ = 1
            return
        if self.learner != "logistic":
            raise ValueError(
                f"there is no learner {self.learner!r}; there are logistic, trees"
            )
        linear = linear_model_of(y, self.random_state)
        self.model_ = _on_logarithms(linear).fit(X, y)
        self.n_iter_ = int(np.max(self.model_[-1].n_iter_))

    def _chance(self, X: Numbers) -> Numbers:
        return np.asarray(self.model_.predict_proba(X)[:, 1])


def _on_logarithms(linear: Any) -> Pipeline:  # noqa: ANN401
    return Pipeline(
        [
            ("known", SimpleImputer(strategy="median", keep_empty_features=True)),
            # Counts and spans of accounts differ by factors, not by amounts.
            ("logarithm", FunctionTransformer(signed_logarithm)),
            ("scale", StandardScaler()),
            ("linear", linear),
        ]
    )


def signed_logarithm(X: Numbers) -> Numbers:
    """Return log(1 + |x|) with the sign of x."""
    logarithms: Numbers = np.sign(X) * np.log1p(np.abs(X))
    return logarithms


class ExpectedUse(_Returns):
    """The chance of a return, from how often an account used the product, and when.

    Users come at rates of their own and leave for good with a chance of their own
    after each use (BG/NBD): P. Fader, B. Hardie and K. Lee, Marketing Science 24
    (2005). The chance of any use in the window is the chance to be still there times
    that of a use if so. Its four numbers are chosen by whether accounts came back, not
    by the counts of their use: all of them are silent, which those would not expect.

    Args:
        silence: The column of the days since the last use.
        tenure: The column of the days from the first sign to the last use.
        gap: The column of the usual days between uses; missing for a single use.
        window_days: In how many days an account may return.

    Attributes:
        classes_: The two outcomes, sorted.
        n_features_in_: How many features were seen in `fit`.
        shape_: r, alpha, a and b of the model; alpha in units of `unit_`.
        unit_: The mean age of the accounts, in days.
        n_iter_: Iterations the solver took.
    """

    def __init__(
        self,
        *,
        silence: int = 0,
        tenure: int = 1,
        gap: int = 2,
        window_days: float = 90.0,
    ) -> None:
        self.silence = silence
        self.tenure = tenure
        self.gap = gap
        self.window_days = window_days

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 — scikit-learn has no types
        tags = super().__sklearn_tags__()
        # Columns that are no spans of time tell it nothing.
        tags.classifier_tags.poor_score = True
        return tags

    def _learn(self, X: Numbers, y: NDArray[np.intp]) -> None:
        repeats, last, age = self._history(X)
        self.unit_ = max(float(age.mean()), 1.0)

        def loss(logarithms: Numbers) -> float:
            chance = self._any_use(np.exp(logarithms), repeats, last, age)
            chance = np.clip(chance, _SMALLEST, 1 - _SMALLEST)
            likelihood = np.where(y == 1, np.log(chance), np.log1p(-chance)).mean()
            # Pulled a little to 1: what the accounts do not tell stays finite.
            return float(_PENALTY * (logarithms**2).sum() - likelihood)

        bounds = [(-_LARGEST_LOG, _LARGEST_LOG)] * 4
        found = minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=bounds)
        self.shape_ = np.exp(found.x)
        self.n_iter_ = max(1, int(found.nit))

    def _chance(self, X: Numbers) -> Numbers:
        return self._any_use(self.shape_, *self._history(X))

    def _history(self, X: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return uses after the first, days to the last use, and age in days."""
        silence, tenure, gap = (
            X[:, at] if at < X.shape[1] else np.full(len(X), np.nan)
            for at in (self.silence, self.tenure, self.gap)
        )
        last = np.maximum(np.nan_to_num(tenure), 0.0)
        age = last + np.maximum(np.nan_to_num(silence), 0.0)
        gap = np.where(gap > 0, gap, np.inf)
        return np.minimum(last / gap, last), last, age

    def _any_use(
        self, shape: Numbers, repeats: Numbers, last: Numbers, age: Numbers
    ) -> Numbers:
        r, alpha, a, b = shape
        last, age = last / self.unit_, age / self.unit_
        window = self.window_days / self.unit_
        uses = r + repeats
        odds_gone = (
            np.log(a)
            - np.log(b + np.maximum(repeats, 1.0) - 1)
            + uses * (np.log(alpha + age) - np.log(alpha + last))
        )
        # After its first use an account has not had the chance to leave.
        is_there = np.where(repeats > 0, _logistic(-odds_gone), 1.0)
        never = uses * (np.log(alpha + age) - np.log(alpha + age + window))
        any_use: Numbers = is_there * -np.expm1(never)
        return any_use


def _logistic(values: Numbers) -> Numbers:
    halves: Numbers = 0.5 * (1 + np.tanh(values / 2))
    return halves
