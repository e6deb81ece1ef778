"""From churned accounts at past cutoffs to a model of who comes back, and its card."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

from models.definitions import FEATURE_NAMES
from models.drift import reference_of
from models.leakage import refuse_leaks
from models.propensity import ExpectedUse, ReturnModel
from models.returns import (
    Choice,
    Difference,
    Standing,
    Window,
    accounts_back,
    auc_difference,
    choose,
    pooled,
)
from models.trained import Trained, described, hash_of
from models.training import matrix

DORMANCY_DAYS: Final = (30, 90, 180)
"""Where the bands of days since churn end, as campaigns tell them apart."""

_MOST_ROWS: Final = 5_000
_NAMED: Final = 8


def window_of(
    features: pl.DataFrame, came_back: Mapping[str, bool], *, cutoff: datetime
) -> Window:
    """Return the churned accounts at a cutoff as a model learns from them.

    Args:
        features: account and FEATURE_NAMES, as of the cutoff; other columns are not
            learnt from, and refused if they know what came later.
        came_back: Of each account; those not in it are left out.
        cutoff: The date of the features.

    Raises:
        ValueError: A column knows what came after the cutoff.
    """
    rows = features.filter(pl.col("account").is_in(list(came_back))).sort("account")
    refuse_leaks(rows, as_of=cutoff, came_back=came_back)
    accounts = rows["account"].to_list()
    return Window(
        cutoff,
        np.array(accounts, dtype=object),
        matrix(rows),
        np.array([came_back[account] for account in accounts], dtype=float),
    )


def train_returns(
    windows: Sequence[Window],
    *,
    horizon: timedelta,
    as_of: datetime,
    confidence: float = 0.95,
    random_state: int = 0,
) -> Trained:
    """Learn who comes back unprompted; the plain model, unless another is better.

    Args:
        windows: Of accounts that nobody mailed, at several cutoffs.
        horizon: In which time they could come back.
        as_of: When the last of them was known.
        confidence: Of what is said of how much better than luck it ranks.
        random_state: Makes folds and draws the same on every run.

    Raises:
        ValueError: Too few came back to learn from, or to judge by.
    """
    chosen = choose(
        windows, _candidates(horizon, random_state), horizon=horizon,
        random_state=random_state,
    )  # fmt: skip
    everything = pooled(windows)
    metadata = described(
        "propensity",
        chosen.model,
        data_hash=hash_of(
            everything.X.tobytes(), everything.came_back.tobytes(), *everything.accounts
        ),
        as_of=as_of,
        terms={"window_days": horizon.days, "confidence": confidence},
        chosen=chosen.name,
        cutoffs=[window.cutoff.isoformat() for window in windows],
        learnt_from=_counted(chosen.earlier),
        judged_on=_counted(chosen.later),
        standings={name: _plain(each) for name, each in chosen.standings.items()},
        over_luck=list(_over_luck(chosen, confidence, random_state)),
        by_dormancy=_by_dormancy(chosen),
        reasons=_reasons(chosen, random_state),
        controls={"auc_of_shuffled_labels": _shuffled(chosen, random_state)},
        reference=reference_of(_table(everything)),
    )
    return Trained(chosen.model, metadata)


def _candidates(horizon: timedelta, random_state: int) -> dict[str, Any]:
    places = {name: place for place, name in enumerate(FEATURE_NAMES)}
    return {
        "logistic": ReturnModel(random_state=random_state),
        "trees": ReturnModel(learner="trees", random_state=random_state),
        "expected use": ExpectedUse(
            silence=places["days_since_last_use"],
            tenure=places["tenure"],
            gap=places["usual_gap"],
            window_days=horizon.days,
        ),
    }


def _over_luck(chosen: Choice, confidence: float, random_state: int) -> Difference:
    """Return how much better than no knowledge it ranks later accounts.

    Each of the models that it was chosen from could have been lucky on them.
    """
    confidence = 1 - (1 - confidence) / len(chosen.standings)
    stated = chosen.judge.predict_proba(chosen.later.X)[:, 1]
    nothing = np.zeros(len(stated))
    return auc_difference(
        chosen.later,
        stated,
        nothing,
        confidence=confidence,
        random_state=random_state,
    )


def _counted(window: Window) -> dict[str, int]:
    return {
        "accounts": len(np.unique(window.accounts)),
        "returned": accounts_back([window]),
    }


def _plain(standing: Standing) -> dict[str, Any]:
    kept = standing.calibration
    return {
        "auc": standing.auc,
        "over_first": list(standing.over_champion),
        "slope": kept.slope if np.isfinite(kept.slope) else None,
        "error": kept.error,
        "noise": kept.noise,
        "bins": [list(each) for each in kept.bins],
    }


def _by_dormancy(chosen: Choice) -> list[dict[str, Any]]:
    """Return what was stated of later accounts, and what they did, by absence."""
    days = chosen.later.X[:, FEATURE_NAMES.index("days_since_churn")]
    stated = chosen.judge.predict_proba(chosen.later.X)[:, 1]
    bands = np.searchsorted(DORMANCY_DAYS, days, side="right")
    names = _band_names()
    return [
        {
            "band": names[band],
            "accounts": int((bands == band).sum()),
            "stated": float(stated[bands == band].mean()),
            "observed": float(chosen.later.came_back[bands == band].mean()),
        }
        for band in sorted(set(bands.tolist()))
    ]


def _band_names() -> list[str]:
    starts = (0, *DORMANCY_DAYS)
    ends = zip(starts, DORMANCY_DAYS, strict=False)
    spans = [f"{start}-{end - 1} days" for start, end in ends]
    return [*spans, f"{DORMANCY_DAYS[-1]} days and more"]


def _reasons(chosen: Choice, random_state: int) -> list[dict[str, Any]]:
    """Return what the ranking of later accounts loses most by, feature by feature."""
    rows = np.random.default_rng(random_state).permutation(len(chosen.later.came_back))
    rows = rows[:_MOST_ROWS]
    lost = permutation_importance(
        chosen.judge,
        chosen.later.X[rows],
        chosen.later.came_back[rows],
        scoring="roc_auc",
        n_repeats=3,
        random_state=random_state,
    ).importances_mean
    most = np.argsort(-lost, kind="stable")[:_NAMED]
    return [
        {"feature": FEATURE_NAMES[at], "auc_lost": float(lost[at])}
        for at in most
        if lost[at] > 0
    ]


def _shuffled(chosen: Choice, random_state: int) -> float:
    """Return what is reached where labels mean nothing, neither then nor later.

    Against the true labels of later accounts it would say nothing: among few features
    any direction whatever ranks accounts better, or worse, than luck does.
    """
    rng = np.random.default_rng(random_state)
    earlier, later = (
        rng.permutation(each.came_back) for each in (chosen.earlier, chosen.later)
    )
    model = clone(chosen.model).fit(chosen.earlier.X, earlier)
    return float(roc_auc_score(later, model.predict_proba(chosen.later.X)[:, 1]))


def _table(rows: Window) -> pl.DataFrame:
    table = pl.DataFrame(rows.X, schema=list(FEATURE_NAMES), orient="row")
    return table.with_columns(account=pl.Series([str(each) for each in rows.accounts]))
