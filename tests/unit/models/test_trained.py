"""From data to trained models of returns and uplift: numbers, reasons and refusals."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.artifacts import load, save
from models.definitions import DEFINITION, FEATURE_NAMES
from models.leakage import refuse_leaks
from models.policy import Costs
from models.returns import Window
from models.train_returns import train_returns, window_of
from models.train_uplift import train_uplift
from models.trained import described
from models.trial import trial
from models.uplift import (
    ClassTransformation,
    Combined,
    DRLearner,
    OneFlag,
    Selected,
    TwoModel,
    XLearner,
)
from tests.factories import at

AS_OF = at("2026-06-01")
MONTH = timedelta(days=30)
SILENT = FEATURE_NAMES.index("days_since_last_use")
CHURNED = FEATURE_NAMES.index("days_since_churn")
PEOPLE = FEATURE_NAMES.index("active_users_90d")


def features(rng, size):
    X = rng.normal(10, 3, size=(size, len(FEATURE_NAMES)))
    X[:, SILENT] = rng.integers(30, 400, size)
    X[:, CHURNED] = X[:, SILENT] - 20
    return X


def windows(rng, *, count=4, size=800):
    made = []
    for number in range(count):
        X = features(rng, size)
        back = (rng.random(size) < 30 / X[:, SILENT]).astype(float)
        accounts = np.array([f"a{at}" for at in range(size)], dtype=object)
        made.append(Window(AS_OF - (count - number) * MONTH, accounts, X, back))
    return made


@pytest.fixture(scope="module")
def returns():
    made = windows(np.random.default_rng(1))
    return train_returns(made, horizon=MONTH, as_of=AS_OF)


def test_who_comes_back_is_learnt_judged_and_explained(returns):
    known = returns.metadata
    assert known["chosen"] in known["standings"]
    assert known["over_luck"][1] > 0.1
    assert known["reasons"][0]["feature"] in {"days_since_last_use", "days_since_churn"}
    assert abs(known["controls"]["auc_of_shuffled_labels"] - 0.5) < 0.12
    assert [each["band"] for each in known["by_dormancy"]] == [
        "0-29 days",
        "30-89 days",
        "90-179 days",
        "180 days and more",
    ]
    rates = [each["observed"] for each in known["by_dormancy"]]
    assert rates == sorted(rates, reverse=True)
    for each in known["by_dormancy"]:
        assert each["stated"] == pytest.approx(each["observed"], abs=0.2)
    # The same ones at each date: an account is one.
    assert known["judged_on"]["accounts"] == known["learnt_from"]["accounts"]
    assert known["judged_on"]["returned"] < known["learnt_from"]["returned"]


def test_the_same_data_makes_the_same_version_and_other_data_another(returns):
    again = train_returns(windows(np.random.default_rng(1)), horizon=MONTH, as_of=AS_OF)
    other = train_returns(windows(np.random.default_rng(2)), horizon=MONTH, as_of=AS_OF)
    assert again.metadata == returns.metadata
    assert other.metadata["version"] != returns.metadata["version"]


def helped(rng, size=4000, *, harm=-0.2):
    X = features(rng, size)
    mailed = rng.random(size) < 0.8
    gain = np.where(X[:, PEOPLE] > 10, 0.2, harm)
    back = (rng.random(size) < 0.3 + mailed * gain).astype(float)
    return trial(X, back, mailed, None), [f"a{number}" for number in range(size)]


def test_whom_a_mail_helps_is_learnt_and_worth_it():
    rows, accounts = helped(np.random.default_rng(3))
    trained = train_uplift(rows, accounts, as_of=AS_OF)
    judged = trained.metadata["judgement"]
    assert judged["is_better"]
    assert judged["over_all"][1] > 0.03
    assert judged["over_all_weighed"][1] > 0
    assert "Mailing the" in judged["sentence"]
    rule = trained.metadata["rule"]
    assert rule["words"].startswith("active_users_90d above")
    # Only who has many people gains, and a rule says as much.
    assert rule["is_selected"] is True
    shuffled = trained.metadata["controls"]["judgement_of_shuffled_arms"]
    assert not shuffled["is_better"]


def test_where_all_are_helped_alike_nothing_is_to_be_gained():
    rows, accounts = helped(np.random.default_rng(4), harm=0.2)
    trained = train_uplift(rows, accounts, as_of=AS_OF, confidence=0.999)
    assert not trained.metadata["judgement"]["is_better"]
    assert "No gain to be had" in trained.metadata["judgement"]["sentence"]


def test_arms_that_no_lot_made_are_refused_with_what_differs():
    rows, accounts = helped(np.random.default_rng(5))
    chosen = rows._replace(mailed=rows.X[:, PEOPLE] > 10)
    with pytest.raises(ValueError, match=r"no lot made them.*active_users_90d"):
        train_uplift(chosen, accounts, as_of=AS_OF)


def test_what_a_model_was_judged_by_makes_another_version():
    rows, accounts = helped(np.random.default_rng(7), size=1200)
    versions = {
        train_uplift(rows, accounts, as_of=AS_OF, **terms).metadata["version"]
        for terms in ({}, {"costs": Costs(mail=0.01)}, {"confidence": 0.9})
    }
    assert len(versions) == 3


@pytest.mark.parametrize(
    "learner",
    [TwoModel, ClassTransformation, XLearner, DRLearner, OneFlag, Combined, Selected],
)
def test_every_learner_can_be_kept(learner, tmp_path):
    rows, accounts = helped(np.random.default_rng(8), size=400)
    metadata = described(
        "uplift", learner(), data_hash="0", as_of=AS_OF, accounts=len(accounts)
    )
    folder = save(learner().fit(*rows), metadata, tmp_path)
    again, _ = load(folder, feature_names=FEATURE_NAMES, feature_definition=DEFINITION)
    assert again.predict(rows.X).shape == rows.y.shape


def test_five_returns_teach_nothing():
    rows, accounts = helped(np.random.default_rng(6), size=300)
    few = rows._replace(y=(np.arange(300) < 5).astype(float))
    with pytest.raises(ValueError, match="can be asked once 50 did"):
        train_uplift(few, accounts, as_of=AS_OF)


@pytest.mark.parametrize("kind", ["returns", "uplift"])
def test_a_kept_model_says_the_same(kind, returns, tmp_path):
    rng = np.random.default_rng(7)
    trained = returns
    if kind == "uplift":
        trained = train_uplift(*helped(rng), as_of=AS_OF)
    folder = save(trained.model, trained.metadata, tmp_path)
    again, metadata = load(
        folder, feature_names=FEATURE_NAMES, feature_definition=DEFINITION
    )
    X = features(rng, 50)
    ask = "predict_proba" if kind == "returns" else "predict"
    assert (getattr(again, ask)(X) == getattr(trained.model, ask)(X)).all()
    assert metadata["version"] == trained.metadata["version"]


def table(**columns):
    accounts = [f"a{number}" for number in range(100)]
    neutral = {name: [1.0] * 100 for name in FEATURE_NAMES}
    return pl.DataFrame({"account": accounts, **neutral, **columns})


CAME_BACK = {f"a{number}": number < 40 for number in range(100)}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"returned_at": [1.0] * 100}, "'returned_at' is an outcome"),
        ({"last_seen": [AS_OF] * 100}, "'last_seen': 100 rows are dated at or after"),
        ({"day": [date(2026, 6, 2)] * 100}, "'day': 100 rows are dated at or after"),
        ({"logins": [float(n >= 40) for n in range(100)]}, "'logins' tells by itself"),
        ({"active": [n < 40 for n in range(100)]}, "'active' tells by itself"),
        ({"state": ["paid" if n < 40 else "" for n in range(100)]}, "'state' tells"),
        ({"plan": ["paid" if n < 40 else None for n in range(100)]}, "'plan' tells"),
        ({"paid": ["2026-06-02T10:00"] * 100}, "'paid': 100 rows are dated at or"),
    ],
)
def test_a_column_that_knows_the_future_is_named(columns, says):
    with pytest.raises(ValueError, match=says):
        window_of(table(**columns), CAME_BACK, cutoff=AS_OF)


def test_columns_of_the_past_are_none_of_that():
    past = table(
        last_seen=[at("2026-05-31")] * 100,
        size=[float(n % 7) for n in range(100)],
        name=[f"n{n}" for n in range(100)],
        joined=["2026-01-01"] * 99 + [None],
        country=[("de", "fr", None)[n % 3] for n in range(100)],
        owners=[["a"]] * 100,
        nothing=[None] * 100,
    )
    assert len(window_of(past, CAME_BACK, cutoff=AS_OF).came_back) == 100
    unknown = past.with_columns(account=pl.lit("another"))
    refuse_leaks(unknown, as_of=AS_OF, came_back=CAME_BACK)
    few = {f"a{number}": number < 3 for number in range(100)}
    # Three returns prove nothing against a column.
    refuse_leaks(
        table(logins=[float(n >= 3) for n in range(100)]), as_of=AS_OF, came_back=few
    )
