import numpy as np
import polars as pl
import pytest

from models.definitions import FEATURE_NAMES
from models.drift import find_drift, reference_of, stability_index


def table(rows=2000, seed=1, **changed):
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=rows) for name in FEATURE_NAMES}
    return pl.DataFrame(
        {"account": [f"a{n}" for n in range(rows)], **columns, **changed}
    )


def test_the_index_of_a_published_kind_of_example():
    # By hand: (.2-.1)ln 2 + (.5-.6)ln(5/6) + (.3-.3)ln 1.
    then, now = np.array([0.1, 0.6, 0.3]), np.array([0.2, 0.5, 0.3])

    expected = 0.1 * np.log(2) - 0.1 * np.log(5 / 6)
    assert stability_index(then, now) == pytest.approx(expected)


def test_what_stayed_the_same_has_not_moved():
    assert find_drift(table(seed=2), reference_of(table())) == []


def test_small_tables_move_by_chance_and_are_not_blamed():
    reference = reference_of(table())
    blamed = sum(len(find_drift(table(40, seed=n), reference)) for n in range(20))

    assert blamed / (20 * len(FEATURE_NAMES)) < 0.2
    assert len(find_drift(table(40, nps=np.full(40, 9.0)), reference)) >= 1


def test_what_moved_is_named_with_both_medians():
    rng = np.random.default_rng(3)
    now = table(nps=rng.normal(2, size=2000), seats=np.full(2000, np.nan))

    found = find_drift(now, reference_of(table()))

    assert [each.feature for each in found] == ["seats", "nps"]
    assert found[0].now is None
    assert found[1].was == pytest.approx(0, abs=0.1)
    assert found[1].now == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("now", [0.0, 2.0])
def test_a_move_from_the_value_that_all_share_is_seen_either_way(now):
    reference = reference_of(table(seats=np.ones(2000)))
    moved = np.repeat([1.0, now], 1000)

    assert [d.feature for d in find_drift(table(seats=moved), reference)] == ["seats"]


def test_features_that_never_vary_or_never_were_known():
    then = table(nps=np.full(2000, np.nan), seats=np.ones(2000))
    reference = reference_of(then)

    assert find_drift(then, reference) == []
    assert [d.feature for d in find_drift(table(), reference)] == ["nps", "seats"]
