"""Peers of the uplift models: scikit-uplift and EconML, as their guides have them."""

import numpy as np
from econml.dr import DRLearner
from econml.metalearners import TLearner, XLearner
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklift.models import ClassTransformation, SoloModel, TwoModels


def _logistic():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _trees():
    return HistGradientBoostingClassifier(random_state=0)


def _of_sklift(make):
    def scores(X, y, mailed, new):
        return np.asarray(make().fit(X, y, mailed).predict(new))

    return scores


def _of_econml(make):
    def scores(X, y, mailed, new):
        return np.asarray(make().fit(y, mailed, X=X).effect(new)).ravel()

    return scores


PEERS = {
    "peer: scikit-uplift two models, logistic": _of_sklift(
        lambda: TwoModels(_logistic(), _logistic())
    ),
    "peer: scikit-uplift class transformation, logistic": _of_sklift(
        lambda: ClassTransformation(_logistic())
    ),
    "peer: scikit-uplift one model of trees": _of_sklift(lambda: SoloModel(_trees())),
    "peer: EconML two models of trees": _of_econml(
        lambda: TLearner(models=HistGradientBoostingRegressor(random_state=0))
    ),
    "peer: EconML X-learner of trees": _of_econml(
        lambda: XLearner(
            models=HistGradientBoostingRegressor(random_state=0),
            propensity_model=_logistic(),
        )
    ),
    "peer: EconML doubly robust, linear last": _of_econml(
        lambda: DRLearner(
            model_propensity=_logistic(),
            model_regression=HistGradientBoostingRegressor(random_state=0),
            random_state=0,
        )
    ),
}
