"""Peers of the models of a return: Lifetimes' BG/NBD, and scikit-learn on its own."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from lifetimes import BetaGeoFitter
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.real_data import WINDOW_DAYS, Log, Silent

_RFM = ("silence", "days", "amount")


def stated_by_peers(
    log: Log, learnt: Silent, new: Silent, cutoffs: Sequence[date]
) -> dict[str, np.ndarray]:
    """Return what each peer states of the new accounts."""
    X, later = (each.known.select(_RFM).to_numpy() for each in (learnt, new))
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    trees = HistGradientBoostingClassifier(random_state=0)
    y = learnt.came_back
    return {
        "peer: scikit-learn logistic, RFM": linear.fit(X, y).predict_proba(later)[:, 1],
        "peer: scikit-learn trees, RFM": trees.fit(X, y).predict_proba(later)[:, 1],
        "peer: recency alone": 1 / (1 + new.known["silence"].to_numpy().astype(float)),
        "peer: Lifetimes BG/NBD": _expected_purchases(log, new, cutoffs),
    }


def _expected_purchases(log: Log, new: Silent, cutoffs: Sequence[date]) -> np.ndarray:
    """Return the purchases that BG/NBD expects, fitted on all customers.

    It knows their whole history before the first test, as its guide has it, not only
    those that are silent.
    """
    fitter = BetaGeoFitter(penalizer_coef=0.001)
    everyone = (
        log.days.filter(pl.col("day") <= min(cutoffs))
        .group_by("account")
        .agg(
            repeats=pl.col("day").n_unique() - 1,
            last=(pl.col("day").max() - pl.col("day").min()).dt.total_days(),
            age=(pl.lit(min(cutoffs)) - pl.col("day").min()).dt.total_days(),
        )
        .select(pl.all().exclude("account").cast(pl.Float64))
        .filter(pl.col("age") > 0)
    )
    fitter.fit(everyone["repeats"], everyone["last"], everyone["age"])
    known = new.known.select(
        repeats=pl.col("days").cast(pl.Float64) - 1,
        last=pl.col("tenure").cast(pl.Float64),
        age=(pl.col("tenure") + pl.col("silence")).cast(pl.Float64),
    )
    return np.asarray(
        fitter.conditional_expected_number_of_purchases_up_to_time(
            WINDOW_DAYS, *(known[name].to_numpy() for name in known.columns)
        )
    )
