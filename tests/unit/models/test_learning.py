import json
import shutil
import warnings
import zipfile
from hashlib import sha256

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from models import artifacts, training
from models.definitions import (
    DEFINITION,
    FEATURE_NAMES,
    FEATURES,
    THEMES,
    fit_for_mail,
)
from models.evaluation import against, on_the_last
from models.propensity import ReturnModel
from models.scores import Models, scored
from models.segments import SegmentClassifier
from models.taxonomy import read_taxonomy, weak_labels
from models.training import Used, matrix, reasons, train_segments
from models.uplift import OneFlag, TwoModel
from tests.factories import ROOT, at

TAXONOMY = ROOT / "templates" / "workspace" / "segments.toml"
AS_OF = at("2026-01-01")


@parametrize_with_checks([SegmentClassifier(random_state=0)])
def test_is_a_scikit_learn_classifier(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        check(estimator)


def table(rows):
    """Features of accounts: a neutral one, changed where a row says."""
    neutral = dict.fromkeys(FEATURE_NAMES, 10.0)
    return pl.DataFrame(
        [{"account": f"a{n:03}", **neutral, **row} for n, row in enumerate(rows)]
    )


def fading_and_blocked(each=30):
    rng = np.random.default_rng(0)
    fading = [
        {"decline_per_week": -3 + rng.normal(), "integration_failure_rate": 0.0}
        for _ in range(each)
    ]
    blocked = [
        {"decline_per_week": rng.normal(), "integration_failure_rate": 0.7}
        for _ in range(each)
    ]
    people = {f"a{n:03}": "slow-fade" for n in range(each)}
    people |= {f"a{n:03}": "blocked-integration" for n in range(each, 2 * each)}
    return table(fading + blocked), people


def test_probabilities_are_calibrated_and_sum_to_one():
    features, people = fading_and_blocked()
    trained = train_segments(features, people=people, rules={}, as_of=AS_OF)

    assert trained.classifier.is_calibrated_
    assert trained.metrics.accuracy > 0.9 > trained.metrics.chance
    assert trained.metrics.calibration_error < 0.2
    assert sum(each.accounts for each in trained.metrics.bins) == 60


def test_a_segment_with_fewer_than_ten_labels_is_left_out_and_said():
    features, people = fading_and_blocked()
    few = people | {f"a{n:03}": "champion-left" for n in range(9)}

    trained = train_segments(features, people=few, rules={}, as_of=AS_OF)

    assert trained.left_out == {"champion-left": 9}
    assert "champion-left" not in trained.classifier.classes_


def test_rules_are_used_only_where_people_say_too_little():
    features, people = fading_and_blocked()
    little = dict(list(people.items())[:12])

    assert (
        train_segments(features, people=little, rules=people, as_of=AS_OF).labels_by
        == "rules"
    )
    assert (
        train_segments(features, people=people, rules=people, as_of=AS_OF).labels_by
        == "people"
    )


def test_how_far_the_rules_agree_with_people_is_said():
    features, people = fading_and_blocked()
    rules = dict(list(people.items())[:20]) | {"a059": "slow-fade"}
    trained = train_segments(features, people=people, rules=rules, as_of=AS_OF)

    assert trained.agreement == {"people": 60, "rules_too": 21, "same": 20}


def test_too_few_labels_are_refused_with_the_remedy():
    features, _ = fading_and_blocked()

    with pytest.raises(ValueError, match=r"import labels, or widen the starter rules"):
        train_segments(features, people={}, rules={"a001": "slow-fade"}, as_of=AS_OF)


def test_the_same_data_makes_the_same_model():
    features, people = fading_and_blocked()
    one, other = (
        train_segments(features, people=people, rules={}, as_of=AS_OF) for _ in range(2)
    )

    assert one.metadata() == other.metadata()


def test_reasons_name_what_spoke_for_the_segment():
    features, people = fading_and_blocked()
    classifier = train_segments(
        features, people=people, rules={}, as_of=AS_OF
    ).classifier

    (why,) = reasons(classifier, features[59:60], ["blocked-integration"])

    assert "its integrations failed 70% of the time" in why


def test_without_what_a_reason_names_its_segment_is_less_likely():
    features, people = fading_and_blocked()
    trained = train_segments(features, people=people, rules={}, as_of=AS_OF)
    classifier = trained.classifier
    segments = [people[account] for account in features["account"]]
    sign = np.where(np.array(segments) == classifier.classes_[1], 1, -1)
    X = features.select(FEATURE_NAMES).to_numpy()
    # Its log odds, up to a factor: chances so close to 1 are all 1.
    before = sign * classifier.linear_model().decision_function(X)
    for theme, word in (("what failed", "failed"), ("how much it used it", "use fell")):
        spoken = [
            any(word in reason for reason in why)
            for why in reasons(classifier, features, segments)
        ]
        # As unknown, the features of the theme tell nothing.
        without = X.copy()
        without[:, [FEATURE_NAMES.index(name) for name in THEMES[theme]]] = np.nan
        after = sign * classifier.linear_model().decision_function(without)
        assert sum(spoken) >= 20
        assert (after < before)[spoken].mean() > 0.95


def test_each_theme_names_features_and_none_twice():
    named = [name for names in THEMES.values() for name in names]
    assert len(set(named)) == len(named)
    assert set(named) < set(FEATURE_NAMES)


def test_terms_add_up_to_the_models_own_score():
    features, people = fading_and_blocked()
    classifier = train_segments(
        features, people=people, rules={}, as_of=AS_OF
    ).classifier
    X = features.select(FEATURE_NAMES).to_numpy()
    linear = classifier.linear_model()

    terms = classifier.contributions(X, ["slow-fade"] * len(X)).sum(axis=1)

    assert terms + linear[-1].intercept_ == pytest.approx(linear.decision_function(X))


def test_accounts_scored_some_at_a_time_are_scored_as_all_at_once():
    features, labels = fading_and_blocked()
    classifier = train_segments(
        features, people=labels, rules={}, as_of=AS_OF
    ).classifier
    rows, y = matrix(features), np.arange(len(labels)) % 3 == 0
    chance = ReturnModel(random_state=0).fit(rows, y)
    uplift = TwoModel(random_state=0).fit(rows, y, treatment=np.arange(len(y)) % 2)

    some = list(scored(Models(classifier, chance, uplift), features, rows_at_once=7))
    bare = list(scored(Models(classifier), features))

    assert [len(each.features) for each in some] == [7] * (60 // 7) + [60 % 7]
    for name, at_once in (
        ("segments", classifier.predict_proba(rows)),
        ("chance", chance.predict_proba(rows)[:, 1]),
        ("uplift", uplift.predict(rows)),
    ):
        parts = np.concatenate([getattr(each, name) for each in some])
        assert np.allclose(parts, at_once, rtol=1e-12, atol=0), name
    assert (bare[0].chance, bare[0].uplift) == (None, None)
    assert list(scored(Models(classifier), features.clear())) == []


def test_the_last_to_leave_are_judged_by_those_before_them():
    features, people = fading_and_blocked(each=60)
    days = pl.Series("days_since_churn", [float(n % 60) for n in range(120)])
    features = features.with_columns(days)
    trained = train_segments(features, people=people, rules={}, as_of=AS_OF)
    # Those of the last that are called what they are not are the ones counted wrong.
    last = {f"a{n:03}" for n in range(120) if n % 60 < 15}
    swap = {"slow-fade": "blocked-integration", "blocked-integration": "slow-fade"}
    wrong = {a: swap[s] if a in last else s for a, s in people.items()}
    misled = train_segments(features, people=wrong, rules={}, as_of=AS_OF)

    assert trained.last.accounts == 30
    assert trained.last.accuracy > 0.9
    assert misled.last.accuracy < 0.1 < misled.metrics.accuracy


def test_without_enough_of_the_last_nothing_is_said_of_them():
    features, people = fading_and_blocked()

    assert train_segments(features, people=people, rules={}, as_of=AS_OF).last is None


def test_a_segment_that_none_had_before_is_counted_as_missed():
    rng = np.random.default_rng(0)
    y = np.array(["a", "b", "a", "b"] * 20 + ["c"] * 40)
    X = np.column_stack([y == "b", rng.normal(size=120)]).astype(float)

    found = on_the_last(SegmentClassifier(), X, y, np.arange(120)[::-1].astype(float))

    assert found.accounts == 30
    assert found.accuracy == 0
    assert sum(map(sum, found.confusion)) == 30
    assert found.confusion[2][2] == 0


def test_how_many_accounts_keep_their_segment_is_said():
    features, people = fading_and_blocked()
    half = features.head(30)
    other = features.with_columns(features.drop("account").reverse())
    earlier = {
        at("2025-12-01"): half,
        at("2025-11-01"): other,
        at("2025-10-01"): half[:0],
    }

    found = train_segments(
        features, people=people, rules={}, as_of=AS_OF, earlier=earlier
    ).stability

    dates = [each["as_of"][:10] for each in found]
    assert dates == ["2025-12-01", "2025-11-01", "2025-10-01"]
    assert (found[0]["accounts"], found[0]["same"]) == (30, 30)
    assert found[1]["accounts"] == 60
    assert found[1]["same"] < 6
    assert (found[2]["accounts"], found[2]["same"]) == (0, 0)


def used_of(features, people, *, as_of):
    trained = train_segments(features, people=people, rules={}, as_of=as_of)
    return Used("used", trained.classifier, as_of)


def test_the_used_one_is_beside_it_on_those_who_left_since():
    features, people = fading_and_blocked()
    swapped = dict(zip(people, reversed(people.values()), strict=True))
    wrong = used_of(features, swapped, as_of=at("2025-12-25"))
    days = pl.when(pl.arange(pl.len()) % 2 == 0).then(3.0).otherwise(30.0)
    later = features.with_columns(days_since_churn=days)

    found = train_segments(later, people=people, rules={}, as_of=AS_OF, used=wrong)

    beside = found.against_used
    assert (beside.version, beside.accounts) == ("used", 30)
    assert beside.only_new > 25
    assert beside.only_used == 0
    assert not found.metadata()["against_used"]["is_worse"]
    # Of who left before it learnt, it may know.
    none = train_segments(features, people=people, rules={}, as_of=AS_OF, used=wrong)
    assert none.against_used.accounts == 0
    assert not none.against_used.is_worse


@pytest.mark.parametrize(("only_used", "is_worse"), [(4, False), (5, True)])
def test_a_classifier_is_worse_only_where_luck_would_hardly_do_it(only_used, is_worse):
    """Five of five by a coin: 3.1 %."""
    labels = np.array(["a"] * 20)
    by_new = labels.copy()
    by_new[:only_used] = "b"

    found = against("used", labels, by_new, labels)

    assert (found.only_new, found.only_used) == (0, only_used)
    assert found.is_worse is is_worse


def test_labels_without_meaning_are_no_better_than_luck():
    features, people = fading_and_blocked()
    value, low, high = train_segments(
        features, people=people, rules={}, as_of=AS_OF
    ).metadata()["over_luck"]
    assert 0.3 < low < value <= 0.5
    names = np.random.default_rng(3).permutation(list(people.values()))
    without = dict(zip(people, names, strict=True))
    value, low, high = train_segments(
        features, people=without, rules={}, as_of=AS_OF
    ).metadata()["over_luck"]
    assert low < 0 < high


@pytest.fixture
def kept(tmp_path):
    features, people = fading_and_blocked()
    trained = train_segments(features, people=people, rules={}, as_of=AS_OF)
    return trained, artifacts.save(trained.classifier, trained.metadata(), tmp_path)


def load(folder, **changes):
    expected = {"feature_names": FEATURE_NAMES, "feature_definition": DEFINITION}
    return artifacts.load(folder, **(expected | changes))


def test_a_model_comes_back_as_it_was(kept):
    trained, folder = kept
    X = np.ones((3, len(FEATURE_NAMES)))

    classifier, metadata = load(folder)

    assert (classifier.predict_proba(X) == trained.classifier.predict_proba(X)).all()
    assert metadata["version"] == trained.metadata()["version"]
    assert metadata["versions"]["scikit-learn"]


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_names": FEATURE_NAMES[::-1]},
        {"feature_names": FEATURE_NAMES[:-1]},
        {"feature_definition": "another"},
    ],
)
def test_a_model_for_other_features_is_refused(kept, changes):
    with pytest.raises(artifacts.ModelMismatch, match="train anew"):
        load(kept[1], **changes)


def test_a_changed_model_file_is_refused(kept):
    path = kept[1] / "model.skops"
    path.write_bytes(path.read_bytes() + b"x")

    with pytest.raises(artifacts.ModelMismatch, match="was changed"):
        load(kept[1])


def test_training_anew_mends_a_damaged_model(kept):
    trained, folder = kept
    (folder / "model.skops").write_bytes(b"damaged")

    again = artifacts.save(trained.classifier, trained.metadata(), folder.parent)

    assert load(again)[1]["version"] == trained.metadata()["version"]


def test_a_whole_model_stays_as_it_lies(kept):
    """Somebody may be reading it."""
    trained, folder = kept
    before = (folder / "model.skops").stat().st_ino

    assert artifacts.save(trained.classifier, trained.metadata(), folder.parent)
    assert (folder / "model.skops").stat().st_ino == before


def test_a_model_of_another_scikit_learn_is_refused(kept):
    path = kept[1] / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["versions"]["scikit-learn"] = "1.2.3"
    path.write_text(json.dumps(metadata))

    with pytest.raises(artifacts.ModelMismatch, match="scikit-learn"):
        load(kept[1])


def put(folder, content, **changes):
    """Lay another file into a model's folder, with a hash that fits."""
    (folder / "model.skops").write_bytes(content)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata |= {"sha256": sha256(content).hexdigest()} | changes
    (folder / "metadata.json").write_text(json.dumps(metadata))


def test_another_models_folder_is_refused(kept, tmp_path):
    other = shutil.copytree(kept[1], tmp_path / "0123456789abcdef-1.9")

    with pytest.raises(artifacts.ModelMismatch, match="other places"):
        load(other)
    with pytest.raises(artifacts.ModelMismatch, match="is no model of uplift"):
        load(kept[1], kind="uplift")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_model_file_is_refused_with_a_reason(kept, content):
    put(kept[1], content)

    with pytest.raises(artifacts.ModelMismatch, match="cannot be opened"):
        load(kept[1])


@pytest.mark.parametrize("model", [{"a": 1}, LinearRegression(), TwoModel()])
@pytest.mark.parametrize("kind", ["segments", "propensity", "else"])
def test_what_is_another_thing_is_refused(kept, model, kind):
    put(kept[1], skops.io.dumps(model), kind=kind)

    with pytest.raises(artifacts.ModelMismatch, match="do not use it"):
        load(kept[1])


@pytest.mark.parametrize("text", ["[1]", "null", "{}", '{"versions": []}', "{"])
def test_damaged_metadata_is_refused(kept, text):
    (kept[1] / "metadata.json").write_text(text)

    with pytest.raises(artifacts.ModelMismatch):
        load(kept[1])


def test_a_model_file_cannot_run_anything(kept, tmp_path):
    path, other = kept[1] / "model.skops", tmp_path / "evil.skops"
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            if name == "schema.json":
                text = text.replace(b"SegmentClassifier", b"Popen")
                text = text.replace(b"models.segments", b"subprocess")
            after.writestr(name, text)
    put(kept[1], other.read_bytes())

    with pytest.raises(artifacts.ModelMismatch, match="not trusted"):
        load(kept[1])


def test_the_shipped_taxonomy_is_read_and_its_rules_speak():
    segments = read_taxonomy(TAXONOMY)
    blocked = {"integration_attempts": 9.0, "integration_failure_rate": 0.5}
    nobody = dict.fromkeys(FEATURE_NAMES, None)

    labels = weak_labels(table([blocked, nobody]), segments)

    assert [segment.name for segment in segments] == [
        "never-activated",
        "blocked-integration",
        "champion-left",
        "price-sensitive",
        "slow-fade",
        "lapsed-power-user",
    ]
    assert labels == {"a000": "blocked-integration"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ('[[segments]]\nname = "x"\ntitle = "x"\ndescription = ""\nrule = []', "empty"),
        (
            '[[segments]]\nname = "x"\ntitle = "x"\ndescription = ""\n'
            'rule = [{ feature = "mood", at_least = 1 }]',
            "no feature 'mood'; allowed",
        ),
    ],
)
def test_a_wrong_taxonomy_says_where(tmp_path, text, message):
    path = tmp_path / "segments.toml"
    path.write_text(text)

    with pytest.raises(ValueError, match=message):
        read_taxonomy(path)


def test_a_model_that_cannot_answer_is_not_opened(tmp_path):
    rng = np.random.default_rng(0)
    rows, mailed = rng.normal(size=(60, 5)), np.arange(60) % 2
    fitted = OneFlag().fit(rows, rng.integers(0, 2, 60), treatment=mailed)
    for model, said in (
        (OneFlag(), "is not fitted, and there are"),
        (fitted, "was fitted on 5, and there are"),
    ):
        metadata = {
            "kind": "uplift", "version": f"v{len(said)}",
            "feature_definition": DEFINITION, "feature_names": list(FEATURE_NAMES),
        }  # fmt: skip
        folder = artifacts.save(model, metadata, tmp_path)
        with pytest.raises(artifacts.ModelMismatch, match=said):
            load(folder)


@pytest.mark.parametrize(
    ("name", "value", "is_high", "said"),
    [
        ("plan_changes", 0, False, "never changed its plan"),
        ("plan_changes", 1, False, None),
        ("plan_changes", 3, True, "changed its plan 3 times"),
        ("decline_per_week", -0.8, True, None),
        ("decline_per_week", 0.8, True, "use was growing when it stopped"),
        (
            "decline_per_week",
            -3,
            False,
            "use fell by 3.0 events a week, week after week",
        ),
        ("nps", 8, False, None),
        ("nps", 8, True, None),
        ("nps", 6, False, "would not recommend us (6 of 10)"),
        ("discount_share", 0.1, False, None),
        ("failure_rate", 0.14, False, None),
        ("mrr_growth", 0.1, False, None),
        ("integration_attempts", 6, False, None),
    ],
)
def test_words_are_said_of_those_of_whom_they_are_true(name, value, is_high, said):
    (feature,) = (each for each in FEATURES if each.name == name)
    assert feature.said(value, is_high=is_high) == said


def test_a_theme_is_told_by_its_strongest_feature_of_which_words_are_true():
    places = [FEATURE_NAMES.index(n) for n in ("plan_changes", "discount_share")]
    terms, values, scaled = np.zeros((3, len(FEATURE_NAMES)))
    terms[places], values[places], scaled[places] = [2, 1.2], [1, 0], [-1, -1]

    assert training._said(places, terms, values, scaled) == "paid the full price"
    values[places[0]] = 0
    assert training._said(places, terms, values, scaled) == "never changed its plan"
    values[places] = [1, 0]
    terms[places[1]] = 0.9  # too little to speak for the theme
    assert training._said(places, terms, values, scaled) is None


def test_no_mail_tells_what_one_person_did_or_said():
    everything = [
        words
        for feature in FEATURES
        for value in (0, 9, 95)
        for side in (True, False)
        if (words := feature.said(value, is_high=side)) is not None
    ]
    told = fit_for_mail(everything)

    assert {"never changed its plan", "paid the full price"} <= set(told)
    assert not [each for each in told if "person" in each or "recommend" in each]
    assert len(everything) - len(told) >= 8
