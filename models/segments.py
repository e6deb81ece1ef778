"""The segment classifier: which usage pattern a churned account shows, and why.

A regularised logistic model on standardised features, calibrated. Linear on purpose:
its reasons are its own terms, so what a marketer reads is what the model did.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

_FOLDS: Final = 5
_FEWEST_TO_CALIBRATE: Final = 2


class SegmentClassifier(ClassifierMixin, BaseEstimator):
    """Assign a churned account to a segment by how it used the product.

    Missing numbers are allowed; a feature that was never known counts for nothing.

    Args:
        regularisation: Inverse strength of the penalty; smaller keeps the segments
            blunter.
        max_iter: Iterations the solver may take.
        random_state: Pass an int for the same folds on every run.

    Attributes:
        classes_: The segments seen in `fit`, sorted.
        n_features_in_: How many features were seen in `fit`.
        model_: The calibrated model, or the plain one where a segment had too few
            labels to calibrate with.
        is_calibrated_: Which of the two it is.
        n_iter_: Iterations the solver took.
    """

    def __init__(
        self,
        *,
        regularisation: float = 1.0,
        max_iter: int = 2000,
        random_state: int | None = None,
    ) -> None:
        self.regularisation = regularisation
        self.max_iter = max_iter
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 — scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> "SegmentClassifier":
        """Learn from accounts `X` (n_accounts, n_features) and their segments `y`."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, counts = np.unique(y, return_counts=True)
        if len(self.classes_) < 2:  # noqa: PLR2004
            only = len(self.classes_)
            raise ValueError(
                f"needs at least two segments to tell apart, has {only} class"
            )
        folds = min(_FOLDS, int(counts.min()))
        self.is_calibrated_ = folds >= _FEWEST_TO_CALIBRATE
        model = self._linear_model()
        if self.is_calibrated_:
            # ensemble=False: one model on all rows, so its terms are the reasons. One
            # number for all segments: a few labels of each allow no more.
            model = CalibratedClassifierCV(
                model, method="temperature", cv=folds, ensemble=False
            )
        self.model_ = model.fit(X, y)
        self.n_iter_ = int(self.linear_model()[-1].n_iter_.max())
        return self

    def _linear_model(self) -> Pipeline:
        return Pipeline(
            [
                ("known", SimpleImputer(strategy="median", keep_empty_features=True)),
                ("scale", StandardScaler()),
                (
                    "linear",
                    LogisticRegression(
                        C=self.regularisation,
                        max_iter=self.max_iter,
                        random_state=self.random_state,
                    ),
                ),
            ]
        )

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each of `classes_`: (n_accounts, n_segments)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        probabilities: NDArray[np.float64] = self.model_.predict_proba(X)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the likeliest segment of each account."""
        best = self.predict_proba(X).argmax(axis=1)
        segments: NDArray[Any] = self.classes_[best]
        return segments

    def contributions(
        self, X: ArrayLike, segments: Sequence[str]
    ) -> NDArray[np.float64]:
        """Return how much each feature speaks for the named segment of each account.

        A term is coefficient × standardised value, so a row's terms and the intercept
        add up to the linear score the segment was chosen by. (n_accounts, n_features)
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        linear = self.linear_model()
        scaled = linear[:-1].transform(X)
        coefficients = linear[-1].coef_
        if len(coefficients) == 1:  # two segments share one row of coefficients
            coefficients = np.vstack([-coefficients[0], coefficients[0]])
        places = np.searchsorted(self.classes_, np.asarray(segments))
        terms: NDArray[np.float64] = scaled * coefficients[places]
        return terms

    def standardised(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return `X` in standard deviations from the training mean."""
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        scaled: NDArray[np.float64] = self.linear_model()[:-1].transform(X)
        return scaled

    def linear_model(self) -> Pipeline:
        """Return the fitted linear model beneath the calibration."""
        if self.is_calibrated_:
            return self.model_.calibrated_classifiers_[0].estimator
        return self.model_
