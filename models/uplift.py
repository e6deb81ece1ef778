"""Whom a mail helps: how much it adds to an account's chance of coming back.

All of these learn from accounts that were mailed, or not, by lot. They differ in what
they ask of the data; on real mailings none beats the plain ones reliably, so what is
used are the plain ones, and only where they beat a rule of one flag.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from models.outcome_models import Learner, amount_model, chance_model, expected
from models.trial import (
    Numbers,
    Trial,
    corrected,
    crossed_gains,
    of_one_text,
    trial,
)

_QUANTILES: Final = (0.25, 0.5, 0.75)
_FEWEST_ON_A_SIDE: Final = 50


class UpliftModel(BaseEstimator, ABC):
    """What all uplift models share: their data, and what they refuse.

    Missing numbers are allowed.

    Attributes:
        n_features_in_: How many features were seen in `fit`.
        share_treated_: The share of the accounts that was mailed.
    """

    random_state: int | None

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 — scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        treatment: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        weight: ArrayLike | None = None,
    ) -> "UpliftModel":
        """Learn from accounts that were mailed, or not, by lot.

        Args:
            X: Features (n_accounts, n_features).
            y: What came of each account: 0 or 1, or an amount.
            treatment: Whether each was mailed. None: nobody was; nothing can be learnt
                from that, and every uplift is 0.
            propensity: The chance that each had of being mailed, above 0 and below 1;
                None for the same chance for all.
            weight: How many accounts each stands for; None for one each.

        Raises:
            ValueError: An arm has fewer than two accounts, or a chance is 0 or 1.
        """
        known, outcome = validate_data(
            self, X, y, ensure_all_finite="allow-nan", y_numeric=True
        )
        self.share_treated_ = 0.0
        if treatment is None:
            return self
        rows = trial(known, outcome, treatment, propensity, weight)
        self.share_treated_ = float(rows.mailed.mean())
        self._learn(rows)
        return self

    def predict(self, X: ArrayLike) -> Numbers:
        """Return the uplift of each account: what a mail adds to its outcome."""
        check_is_fitted(self)
        known = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")
        if not self.share_treated_:
            return np.zeros(len(known))
        return self._effect(known)

    @abstractmethod
    def _learn(self, rows: Trial) -> None:
        """Learn from accounts of both arms."""

    @abstractmethod
    def _effect(self, X: Numbers) -> Numbers:
        """Return the uplift of each account."""


class _Learned(UpliftModel):
    """An uplift model on top of models of outcomes.

    Args:
        learner: `logistic` (a ridge regression where outcomes are amounts) or `trees`
            (histogram gradient boosting).
        random_state: Pass an int for the same result on every run.
    """

    def __init__(
        self,
        *,
        learner: Learner = "logistic",
        random_state: int | None = None,
    ) -> None:
        self.learner = learner
        self.random_state = random_state

    def _outcome(self, X: Numbers, y: Numbers, weight: Numbers) -> Any:  # noqa: ANN401
        return chance_model(self.learner, X, y, weight, random_state=self.random_state)

    def _amount(self, X: Numbers, y: Numbers, weight: Numbers) -> Any:  # noqa: ANN401
        return amount_model(self.learner, X, y, weight, random_state=self.random_state)


class TwoModel(_Learned):
    """One model for each arm; the uplift is their difference (T-learner).

    Attributes:
        outcomes_: The model of those not mailed, and of those mailed.
    """

    def _learn(self, rows: Trial) -> None:
        X, y, mailed, _, weight = rows
        self.outcomes_ = [
            self._outcome(X[arm], y[arm], weight[arm]) for arm in (~mailed, mailed)
        ]

    def _effect(self, X: Numbers) -> Numbers:
        without, with_mail = (expected(model, X) for model in self.outcomes_)
        return with_mail - without


class ClassTransformation(_Learned):
    """One model of an outcome that is made so that its mean is the uplift.

    Where outcomes are 0 or 1: whether an account did what its arm would have it do,
    each weighed by the inverse of its chance of being in that arm.
    Source: M. Jaskowski and S. Jaroszewicz, ICML 2012 workshop on clinical data; for
    amounts S. Athey and G. Imbens, arXiv:1504.01132v1.

    Attributes:
        transformed_: The model.
        is_binary_: Whether outcomes were 0 or 1.
    """

    def _learn(self, rows: Trial) -> None:
        X, y, mailed, chance, weight = rows
        self.is_binary_ = bool(np.isin(y, (0, 1)).all())
        if self.is_binary_:
            weight = weight * np.where(mailed, 1 / chance, 1 / (1 - chance))
            agrees = (y == mailed).astype(float)
            self.transformed_ = chance_model(
                self.learner,
                X,
                agrees,
                weight / weight.mean(),
                random_state=self.random_state,
            )
        else:
            made = y * (mailed - chance) / (chance * (1 - chance))
            self.transformed_ = self._amount(X, made, weight)

    def _effect(self, X: Numbers) -> Numbers:
        found = expected(self.transformed_, X)
        return 2 * found - 1 if self.is_binary_ else found


class XLearner(_Learned):
    """Models of what each account gained over what the other arm's model expects.

    Source: S. Künzel, J. Sekhon, P. Bickel and B. Yu, PNAS 116 (2019).

    Attributes:
        gains_: The model learnt from those not mailed, and from those mailed.
    """

    def _learn(self, rows: Trial) -> None:
        X, y, mailed, _, weight = rows
        without, with_mail = (
            self._outcome(X[arm], y[arm], weight[arm]) for arm in (~mailed, mailed)
        )
        gain = np.where(mailed, y - expected(without, X), expected(with_mail, X) - y)
        self.gains_ = [
            self._amount(X[arm], gain[arm], weight[arm]) for arm in (~mailed, mailed)
        ]

    def _effect(self, X: Numbers) -> Numbers:
        of_others, of_mailed = (expected(model, X) for model in self.gains_)
        share = self.share_treated_
        return share * of_others + (1 - share) * of_mailed


class DRLearner(_Learned):
    """A model of each account's gain, right if chances or outcomes are (doubly robust).

    Outcomes are expected by models of other folds.
    Source: E. Kennedy, Electronic Journal of Statistics 17 (2023).

    Args:
        learner: As of the others.
        folds: How many.
        random_state: Pass an int for the same folds on every run.

    Attributes:
        gain_: The model.
    """

    def __init__(
        self,
        *,
        learner: Learner = "logistic",
        folds: int = 5,
        random_state: int | None = None,
    ) -> None:
        super().__init__(learner=learner, random_state=random_state)
        self.folds = folds

    def _learn(self, rows: Trial) -> None:
        gain = np.empty(len(rows.y))
        for others, fold in self._split(rows.X):
            gain[fold] = crossed_gains(
                rows,
                others,
                fold,
                learner=self.learner,
                random_state=self.random_state,
            )
        self.gain_ = self._amount(rows.X, gain, rows.weight)

    def _split(self, X: Numbers) -> Any:  # noqa: ANN401
        folds = max(2, min(self.folds, len(X)))
        split = KFold(folds, shuffle=True, random_state=self.random_state)
        return split.split(X)

    def _effect(self, X: Numbers) -> Numbers:
        return expected(self.gain_, X)


class Combined(_Learned):
    """The mean of the two plain models: none of them is reliably better alone.

    Source: J. Bates and C. Granger, Operational Research Quarterly 20 (1969).

    Attributes:
        models_: A TwoModel and a ClassTransformation.
    """

    def _learn(self, rows: Trial) -> None:
        self.models_ = [
            kind(learner=self.learner, random_state=self.random_state).fit(*rows)
            for kind in (TwoModel, ClassTransformation)
        ]

    def outcomes(self, X: Numbers) -> Numbers:
        """Return what to expect of each account without a mail, and with one."""
        return np.column_stack(
            [expected(model, X) for model in self.models_[0].outcomes_]
        )

    def _effect(self, X: Numbers) -> Numbers:
        effects: Numbers = np.mean([model.predict(X) for model in self.models_], axis=0)
        return effects


class OneFlag(UpliftModel):
    """The rule that has to be beaten: one feature above or below one number.

    Of all features, at their quartiles, the split whose sides differ most in uplift,
    measured by its standard error.

    Args:
        random_state: Nothing here is drawn; it is there so that all models are alike.

    Attributes:
        feature_: Which feature, by number; -1 if no split leaves 50 accounts of each
            arm on each side.
        above_: The number.
        uplifts_: Of those not above it, and of those above it.
    """

    def __init__(self, *, random_state: int | None = None) -> None:
        self.random_state = random_state

    def _learn(self, rows: Trial) -> None:
        moments = _moments(rows)
        whole = moments.sum(axis=0)
        everyone, _ = _uplift_within(whole, len(rows.y))
        self.feature_, self.above_, self.uplifts_ = -1, 0.0, (everyone, everyone)
        strongest = 0.0
        for feature in range(rows.X.shape[1]):
            for number in _cuts(rows.X[:, feature]):
                above = (rows.X[:, feature] > number).astype(float) @ moments
                if min(*_counts(above), *_counts(whole - above)) < _FEWEST_ON_A_SIDE:
                    continue
                low, low_error = _uplift_within(whole - above, len(rows.y))
                high, high_error = _uplift_within(above, len(rows.y))
                strength = abs(high - low) / np.hypot(low_error, high_error)
                if strength > strongest:
                    strongest = strength
                    self.feature_, self.above_ = feature, number
                    self.uplifts_ = (low, high)

    def _effect(self, X: Numbers) -> Numbers:
        if self.feature_ < 0:
            return np.full(len(X), self.uplifts_[0])
        low, high = self.uplifts_
        return np.where(X[:, self.feature_] > self.above_, high, low)


class Selected(_Learned):
    """The combined models, unless the rule of one flag errs less about gains.

    Each account's gain is measured doubly robust by models of other folds, and what
    the two expect of it, fitted there too, is compared with that. So the rule has to
    be beaten wherever this learns. Source: Y. Saito and S. Yasui, ICML (2020).

    Args:
        learner: As of the others.
        folds: How many.
        random_state: Pass an int for the same folds on every run.

    Attributes:
        model_: The one that errs less; the combined models where an arm is too small
            for a rule in each fold.
        errors_: The mean squared error of the combined models and of the rule; 0 where
            they were not compared.
    """

    def __init__(
        self,
        *,
        learner: Learner = "logistic",
        folds: int = 2,
        random_state: int | None = None,
    ) -> None:
        super().__init__(learner=learner, random_state=random_state)
        self.folds = folds

    def _learn(self, rows: Trial) -> None:
        combined = Combined(learner=self.learner, random_state=self.random_state)
        rule = OneFlag()
        self.errors_ = np.zeros(2)
        if np.bincount(rows.mailed).min() >= 2 * self.folds:
            self.errors_ = self._errors(rows, combined, rule)
        does_rule_win = self.errors_[1] < self.errors_[0]
        self.model_ = (rule if does_rule_win else combined).fit(*rows)

    def _errors(self, rows: Trial, combined: "Combined", rule: "OneFlag") -> Numbers:
        split = StratifiedKFold(
            self.folds, shuffle=True, random_state=self.random_state
        )
        errors: Numbers = np.zeros(2)
        for others, fold in split.split(rows.X, rows.mailed):
            learnt_from = Trial(*(each[others] for each in rows))
            if rule.fit(*learnt_from).feature_ < 0:
                # No split was tried here: one found in all would be unmeasured.
                return np.zeros(2)
            said = combined.fit(*learnt_from).outcomes(rows.X[fold])
            worth = corrected(of_one_text(rows), fold, said)
            gains = worth[:, 1] - worth[:, 0]
            for number, model in enumerate((combined, rule)):
                missed = gains - model.predict(rows.X[fold])
                errors[number] += rows.weight[fold] @ missed**2
        errors /= rows.weight.sum()
        return errors

    def _effect(self, X: Numbers) -> Numbers:
        return self.model_.predict(X)


def _cuts(values: Numbers) -> Numbers:
    known = values[~np.isnan(values)]
    if not len(known):
        return known
    # Quartiles as they stand: a flag's own values, not one between them.
    cuts = np.quantile(known, _QUANTILES, method="lower")
    return np.unique(np.append(cuts, known.min()))


def _moments(rows: Trial) -> Numbers:
    """Return what adds up over accounts, of those not mailed, then of those mailed.

    Of each arm: how many they are, their weight, and that times the outcome, and times
    its square: (n_accounts, 8).
    """
    _, y, mailed, chance, weight = rows
    weight = weight * np.where(mailed, 1 / chance, 1 / (1 - chance))
    each = np.column_stack([np.ones(len(y)), weight, weight * y, weight * y**2])
    return np.hstack([each * ~mailed[:, None], each * mailed[:, None]])


def _counts(moments: Numbers) -> Numbers:
    return moments[[0, 4]]


def _uplift_within(moments: Numbers, accounts: int) -> tuple[float, float]:
    """Return the uplift of those whose moments these are, and its standard error."""
    count, weight, of_y, of_square = moments.reshape(2, 4).T
    mean = of_y / weight
    # A side where all outcomes are alike is not known for certain.
    spread = np.maximum(of_square / weight - mean**2, 1 / accounts)
    return float(mean[1] - mean[0]), float(np.sqrt((spread / count).sum()))
