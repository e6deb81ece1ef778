"""Groups that nobody has named: found where there are some, and not in noise."""

import numpy as np
import polars as pl
import pytest

from models.definitions import FEATURE_NAMES
from models.discovery import discover

PATTERNS = {
    "failing": {"integration_failure_rate": 0.7, "failure_rate": 0.5},
    "one person": {"top_contact_share": 0.95, "top_contact_silence": 40.0},
    "tried it": {"breadth": 1.0, "usage_entropy": 0.1},
}
EACH = 120


def table(rng, shifts):
    X = rng.normal(10, 2, size=(len(shifts), len(FEATURE_NAMES)))
    frame = pl.DataFrame(X, schema=list(FEATURE_NAMES))
    names = [f"a{n:04}" for n in range(len(shifts))]
    for feature in sorted({name for each in PATTERNS.values() for name in each}):
        usual = rng.normal(0.3, 0.02, size=len(shifts))
        usual = [each.get(feature, u) for each, u in zip(shifts, usual, strict=True)]
        frame = frame.with_columns(pl.Series(feature, usual))
    return frame.insert_column(0, pl.Series("account", names))


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    shifts = [shift for shift in PATTERNS.values() for _ in range(EACH)]
    return discover(table(rng, shifts))


def test_planted_patterns_are_found_and_named_by_what_they_are(found):
    groups = [set(group.accounts) for group in found.groups]
    planted = [{f"a{n:04}" for n in range(at, at + EACH)} for at in (0, 120, 240)]

    assert len(groups) == len(PATTERNS)
    assert found.agreement[3] > 0.9
    for pattern, words in zip(planted, ("fail", "top-contact", "breadth"), strict=True):
        (group,) = [
            each for each in found.groups if len(pattern & {*each.accounts}) > 60
        ]
        assert len(pattern & {*group.accounts}) > 0.85 * EACH
        assert words in group.name


def test_a_groups_rule_holds_for_it_and_for_few_others(found):
    for group in found.groups:
        assert group.precision > 0.8, group
        assert group.recall > 0.8, group
        assert all(words for words in group.in_words)


def test_nothing_is_found_in_noise():
    found = discover(table(np.random.default_rng(1), [{}] * 400))

    assert found.groups == []
    assert max(found.agreement.values()) < 0.4


def test_unknown_numbers_and_constant_ones_are_no_hindrance():
    features = table(np.random.default_rng(2), [{}] * 120).with_columns(
        nps=pl.lit(None, pl.Float64), breadth=pl.lit(1.0)
    )

    assert discover(features).groups == []


def test_few_accounts_are_refused():
    features = table(np.random.default_rng(0), [{}] * 99)

    with pytest.raises(ValueError, match="99 accounts are too few"):
        discover(features)


def test_what_is_known_of_one_theme_only_is_enough():
    rng = np.random.default_rng(0)
    frame = table(rng, [{}] * 300)
    price = 2.0 * (np.arange(300) % 2) + rng.normal(0, 0.05, 300)
    frame = frame.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in FEATURE_NAMES
    ).with_columns(pl.Series("plan_changes", price))

    assert {each.name for each in discover(frame).groups} == {
        "high-plan-changes",
        "low-plan-changes",
    }
