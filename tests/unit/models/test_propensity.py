"""Who comes back: the models, how they are judged, and what they refuse."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.calibration import calibration
from models.propensity import ExpectedUse, ReturnModel
from models.returns import Window, _area_by_weight, auc_difference, choose, split

MODELS = [
    ReturnModel(random_state=0),
    ReturnModel(learner="trees", random_state=0),
    ExpectedUse(),
]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)


@parametrize_with_checks(MODELS)
def test_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def users(rng, size, *, window=30.0):
    """Accounts that live by the very model: rates and chances to leave of their own."""
    rate = rng.gamma(1.0, 1 / 20, size)
    leaves = rng.beta(1.0, 3.0, size)
    silence, tenure, gap = np.empty(size), np.empty(size), np.empty(size)
    came_back = np.empty(size)
    for at in range(size):
        moments, is_gone = [0.0], False
        while True:
            moments.append(moments[-1] + rng.exponential(1 / rate[at]))
            if moments[-1] > 200:
                break
            if rng.random() < leaves[at]:
                is_gone = True
                break
        ahead = moments[-1]
        past = [moment for moment in moments if moment <= 200]
        tenure[at], silence[at] = past[-1], 200 - past[-1]
        gap[at] = past[-1] / (len(past) - 1) if len(past) > 1 else np.nan
        came_back[at] = not is_gone and ahead <= 200 + window
    return np.column_stack([silence, tenure, gap]), came_back


def test_expected_use_states_the_truth_of_its_own_world():
    rng = np.random.default_rng(3)
    X, y = users(rng, 6000)
    new, came_back = users(rng, 6000)
    model = ExpectedUse(window_days=30).fit(X, y)
    stated = model.predict_proba(new)[:, 1]
    found = calibration(came_back, stated)
    assert found.error_above_noise < 0.01
    assert found.slope == pytest.approx(1, abs=0.1)
    # The longer the silence against its rhythm, the less likely the return.
    history = np.array([[5, 100, 5], [60, 100, 5], [60, 100, np.nan]])
    soon, late, once = model.predict_proba(history)[:, 1]
    assert soon > 2 * late
    assert 0 < once < 1


def test_expected_use_does_with_columns_that_are_not_there():
    X, y = users(np.random.default_rng(4), 500)
    stated = ExpectedUse(silence=0, tenure=7, gap=8).fit(X, y).predict_proba(X)[:, 1]
    assert np.isfinite(stated).all()


def test_there_is_no_other_learner():
    with pytest.raises(ValueError, match="there are logistic, trees"):
        ReturnModel(learner="magic").fit([[1.0], [2.0]], [0, 1])


def test_logarithms_make_factors_alike():
    rng = np.random.default_rng(5)
    days = np.exp(rng.uniform(0, 9, 4000))[:, None]
    y = rng.random(4000) < 1 / (1 + days[:, 0] / 90)
    found = calibration(
        y[2000:],
        ReturnModel().fit(days[:2000], y[:2000]).predict_proba(days[2000:])[:, 1],
    )
    assert found.error_above_noise < 0.02


def windows(rng, *, count=6, size=400, base=0.2):
    made = []
    for number in range(count):
        X = rng.normal(size=(size, 3))
        chance = 1 / (1 + np.exp(-(np.log(base / (1 - base)) + X[:, 0])))
        accounts = np.array([f"acc-{at}" for at in range(size)])
        y = (rng.random(size) < chance).astype(float)
        made.append(Window(BEGAN + number * MONTH, accounts, X, y))
    return made


def test_models_are_judged_by_windows_that_began_when_theirs_had_closed():
    made = windows(np.random.default_rng(6))
    earlier, later = split(made, horizon=2 * MONTH)
    assert [w.cutoff for w in later] == [BEGAN + 5 * MONTH]
    assert [w.cutoff for w in earlier] == [
        BEGAN + number * MONTH for number in range(4)
    ]
    # In whatever order they come.
    again, _ = split(made[::-1], horizon=2 * MONTH)
    assert [w.cutoff for w in again] == [w.cutoff for w in earlier]


def test_more_windows_judge_where_one_has_too_few_returns():
    made = windows(np.random.default_rng(7), size=60)
    _, later = split(made, horizon=MONTH)
    assert len(later) > 1
    assert sum(w.came_back.sum() for w in later) >= 20


@pytest.mark.parametrize("base", [0.001, 0.999])
def test_a_handful_of_outcomes_makes_no_model(base):
    made = windows(np.random.default_rng(8), base=base)
    with pytest.raises(ValueError, match="needs 20 that did and 20 that did not"):
        choose(made, {"logistic": ReturnModel()}, horizon=MONTH)


def test_the_first_stays_unless_another_is_shown_to_be_better():
    made = windows(np.random.default_rng(9), size=1500)
    models = {"logistic": ReturnModel(), "trees": ReturnModel(learner="trees")}
    chosen = choose(made, models, horizon=MONTH)
    assert chosen.name == "logistic"
    assert chosen.standings["logistic"].over_champion == (0, 0, 0)
    assert len(chosen.later.came_back) == 1500


def test_one_that_is_better_takes_its_place():
    made = [
        # The sign of the first number says nothing, its distance from 0 everything.
        w._replace(came_back=(np.abs(w.X[:, 0]) > 1.2).astype(float))
        for w in windows(np.random.default_rng(10), size=1500)
    ]
    models = {"logistic": ReturnModel(), "trees": ReturnModel(learner="trees")}
    assert choose(made, models, horizon=MONTH).name == "trees"


def test_labels_without_meaning_give_no_better_than_a_coin():
    rng = np.random.default_rng(11)
    made = [
        w._replace(came_back=rng.permutation(w.came_back))
        for w in windows(rng, size=1500)
    ]
    chosen = choose(made, {"logistic": ReturnModel()}, horizon=MONTH)
    assert abs(chosen.standings["logistic"].auc - 0.5) < 0.05


def test_an_account_in_many_windows_counts_as_one():
    [once] = windows(np.random.default_rng(12), count=1)
    often = Window(
        once.cutoff,
        *(
            np.concatenate([part] * 9)
            for part in (once.accounts, once.X, once.came_back)
        ),
    )
    rng = np.random.default_rng(13)
    better, worse = once.X[:, 0], once.X[:, 0] + rng.normal(size=len(once.X))
    alone = auc_difference(once, better, worse)
    repeated = auc_difference(often, np.tile(better, 9), np.tile(worse, 9))
    assert repeated.high - repeated.low == pytest.approx(
        alone.high - alone.low, rel=0.01
    )
    assert alone.value == pytest.approx(
        roc_auc_score(once.came_back, better) - roc_auc_score(once.came_back, worse)
    )


def test_its_area_is_that_of_scikit_learn_with_ties_and_weights():
    rng = np.random.default_rng(15)
    y, score = (rng.random(300) < 0.3).astype(float), rng.integers(0, 9, 300) / 9
    weight = rng.integers(0, 4, 300).astype(float)
    assert _area_by_weight(y, score)(weight) == pytest.approx(
        roc_auc_score(y, score, sample_weight=weight), abs=1e-12
    )


def test_a_perfect_forecast_is_no_further_off_than_luck_is():
    rng = np.random.default_rng(14)
    chance = rng.beta(1, 12, 3000)
    y = (rng.random(3000) < chance).astype(float)
    found = calibration(y, chance)
    assert found.error == pytest.approx(found.noise, abs=0.006)
    assert found.slope == pytest.approx(1, abs=0.15)
    assert sum(each.accounts for each in found.bins) == 3000
    # One that says twice as much is.
    boastful = calibration(y, np.clip(2 * chance, 0, 1))
    assert boastful.error_above_noise > 0.05


def test_there_is_no_slope_where_all_are_alike():
    assert np.isnan(calibration(np.zeros(9), np.linspace(0, 1, 9)).slope)
    assert np.isnan(calibration(np.arange(9) % 2.0, np.full(9, 0.3)).slope)


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("filled", [np.nan, 3.0, np.inf])
def test_columns_that_tell_nothing_do_no_harm(model, filled):
    rng = np.random.default_rng(16)
    X, y = rng.normal(size=(600, 4)), rng.random(600) < 0.3
    X[:, 1:3] = filled
    if np.isinf(filled):
        with pytest.raises(ValueError, match="infinity"):
            clone(model).fit(X, y)
        return
    assert np.isfinite(clone(model).fit(X, y).predict_proba(X)).all()
    X[:] = filled
    stated = clone(model).fit(X, y).predict_proba(X)[:, 1]
    assert np.ptp(stated) < 1e-9
