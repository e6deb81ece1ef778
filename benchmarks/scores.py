"""Scoring accounts in chunks, against scikit-learn on one large array."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.definitions import DEFINITION, FEATURE_NAMES
from models.propensity import ReturnModel
from models.returns import Window
from models.scores import Models, scored
from models.segments import SegmentClassifier
from models.training import matrix, reasons
from models.trial import trial
from models.uplift import TwoModel
from tests.factories import NOON

LEARNT_FROM = 20_000
SEGMENTS = 7
MISSING = 0.1
TREATED = 0.8
WINDOWS = 4
LEARNERS = ("logistic", "trees")
_KINDS = {"segments": "segments", "chance": "propensity", "uplift": "uplift"}


def write(folder: Path, *, accounts: int) -> None:
    """Write accounts with their features, and models that learnt from the first."""
    from models.artifacts import save

    rng = np.random.default_rng(0)
    X = rng.lognormal(size=(accounts, len(FEATURE_NAMES)))
    X[rng.random(X.shape) < MISSING] = np.nan
    features = pl.DataFrame(X, schema=list(FEATURE_NAMES)).fill_nan(None)
    names = pl.Series("account", [f"acc-{n:07}" for n in range(accounts)])
    features.insert_column(0, names).write_parquet(folder / "features.parquet")
    X = X[:LEARNT_FROM]
    mailed, back, place = _outcomes(X)
    models: dict[str, object] = {"segments": SegmentClassifier(random_state=0)}
    models["segments"].fit(X, np.array([f"s{n}" for n in place]))
    for learner in LEARNERS:
        chance = ReturnModel(learner=learner, random_state=0)
        models[f"chance{learner}"] = chance.fit(X, back)
        uplift = TwoModel(learner=learner, random_state=0)
        models[f"uplift{learner}"] = uplift.fit(X, back, treatment=mailed)
    for name, model in models.items():
        described = {
            "version": name,
            "kind": next(_KINDS[each] for each in _KINDS if name.startswith(each)),
            "feature_names": FEATURE_NAMES,
            "feature_definition": DEFINITION,
        }
        save(model, described, folder / "models")


def models_of(folder: Path, learner: str) -> Models:
    """Return models that `write` kept."""
    from models.artifacts import load

    names = ("segments", f"chance{learner}", f"uplift{learner}")
    kept = (
        load(
            next((folder / "models").glob(f"{name}-*")),
            feature_names=FEATURE_NAMES,
            feature_definition=DEFINITION,
        )[0]
        for name in names
    )
    return Models(*kept)


def ours(folder: Path, learner: str):
    """Return what scores as `winback score` does."""
    models = models_of(folder, learner)

    def act():
        features = pl.read_parquet(folder / "features.parquet")
        chances = sum(each.chance.sum() for each in scored(models, features))
        assert 0 < chances < features.height

    return act


def bare(folder: Path, learner: str):
    """Return what calls the same fitted pipelines on the whole array, row by row."""
    models = models_of(folder, learner)
    chance, uplift = models.chance.model_, models.uplift
    pipelines = [models.segments.model_, chance, *uplift.outcomes_]

    def act():
        features = pl.read_parquet(folder / "features.parquet")
        X = np.ascontiguousarray(matrix(features))
        segments, back, without, mailed = (each.predict_proba(X) for each in pipelines)
        added = mailed[:, 1] - without[:, 1]
        assert len(segments) == len(added) == len(back) == features.height

    return act


def explained(folder: Path):
    """Return what says why, for each account."""
    models = models_of(folder, "logistic")
    names = [str(name) for name in models.segments.classes_]
    features = pl.read_parquet(folder / "features.parquet")
    made = list(scored(Models(models.segments), features))

    def act():
        for each in made:
            likeliest = [names[place] for place in each.segments.argmax(axis=1)]
            said = reasons(models.segments, each.features, likeliest)
            assert len(said) == each.features.height

    return act


def drifted(folder: Path):
    """Return what says which features moved."""
    from models.drift import find_drift, reference_of

    features = pl.read_parquet(folder / "features.parquet")
    reference = reference_of(features.head(LEARNT_FROM))

    def act():
        assert isinstance(find_drift(features, reference), list)

    return act


def trained(folder: Path):
    """Return what learns all three kinds of models, as `winback learn` does."""
    from models.train_returns import train_returns
    from models.train_uplift import train_uplift
    from models.training import train_segments

    features = pl.read_parquet(folder / "features.parquet")
    accounts = features["account"].to_list()
    X = matrix(features)
    mailed, back, place = _outcomes(X)
    windows = [
        Window(
            NOON - timedelta(days=30 * (WINDOWS - at)),
            np.array(accounts[at::WINDOWS], dtype=object),
            X[at::WINDOWS],
            back[at::WINDOWS],
        )
        for at in range(WINDOWS)
    ]
    people = dict(zip(accounts, [f"s{n}" for n in place], strict=True))

    def act():
        train_segments(features, people=people, rules={}, as_of=NOON)
        train_returns(windows, horizon=timedelta(days=30), as_of=NOON)
        train_uplift(trial(X, back, mailed, None), accounts, as_of=NOON)

    return act


def _outcomes(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whom a lot had mailed, who came back, and the segment of each."""
    rng = np.random.default_rng(1)
    known = np.nan_to_num(np.log(X))
    mailed = rng.random(len(X)) < TREATED
    lift = mailed * np.clip(known[:, 0], 0, None)
    back = rng.random(len(X)) < 1 / (1 + np.exp(2 - known[:, 1] - lift))
    return mailed, back.astype(float), known[:, :SEGMENTS].argmax(axis=1)
