from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.sequential import (
    against_pilot,
    evidence,
    lift_after_all,
    lift_evidence,
    lift_sequence,
    rate_sequence,
)
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.variants import compare

rates = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-6, 1 - 1e-6))


def _pair(treated, holdout):
    return ArmPair(ArmCount(*treated), ArmCount(*holdout))


@pytest.mark.parametrize("seed", range(12))
def test_after_all_looks_is_the_last_of_them(seed):
    rng = np.random.default_rng(seed)
    cohorts = []
    for _ in range(int(rng.integers(1, 14))):
        sizes = rng.integers(0, 200), rng.integers(0, 60)
        rates = rng.choice([0, 0.05, 0.12, 0.4, 0.9, 1], 2)
        back = [
            int(rng.binomial(size, rate))
            for size, rate in zip(sizes, rates, strict=True)
        ]
        cohorts.append(_pair(*zip(map(int, sizes), back, strict=True)))

    last = lift_sequence(cohorts)[-1]
    found = lift_after_all(cohorts)
    if last.low < last.high:
        assert found == pytest.approx(last, abs=4e-5)
    else:
        assert found.low > found.high


def _expected_winnings(sizes, rates, lift):
    """Return what a bet against `lift` makes of 1 on average, over all counts."""
    n, m = sizes
    k, j = (axis.ravel() for axis in np.indices((n + 1, m + 1)))
    returned = np.stack([k, j], axis=-1)[:, np.newaxis]
    won = np.exp(evidence(np.array([sizes]), returned, lift)[:, 0])
    return float(won @ (binom.pmf(k, n, rates[0]) * binom.pmf(j, m, rates[1])))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 30),
    st.integers(1, 12),
    rates,
    rates,
)
def test_no_bet_against_the_truth_is_won_on_average(n, m, first, second):
    assume(abs(first - second) < 0.999)
    # This is all that an interval's promise rests on, so it is computed exactly.
    found = _expected_winnings((n, m), (first, second), first - second)

    assert found <= 1 + 1e-9


def test_a_bet_against_what_is_not_true_is_won():
    assert _expected_winnings((60, 30), (0.5, 0.1), 0.0) > 10


def test_an_interval_never_grows_again():
    cohorts = [_pair((92, 11 + n % 4), (23, 1 + n % 2)) for n in range(12)]
    found = lift_sequence(cohorts)

    assert all(a.low <= b.low for a, b in pairwise(found))
    assert all(a.high >= b.high for a, b in pairwise(found))
    assert found[-1].low > 0


def test_looking_again_at_the_past_finds_what_was_found_then():
    cohorts = [_pair((50, 9), (20, 2)), _pair((70, 9), (10, 1)), _pair((10, 2), (5, 0))]

    assert lift_sequence(cohorts)[:2] == lift_sequence(cohorts[:2])


def test_what_is_outside_the_interval_lost_twenty_to_one():
    cohorts = [_pair((400, 80), (100, 8)), _pair((300, 50), (90, 9))]
    last = lift_sequence(cohorts)[-1]

    for outside in (last.low - 1e-4, last.high + 1e-4):
        assert lift_evidence(cohorts, outside).max() > np.log(20)
    inside = np.linspace(last.low + 1e-4, last.high - 1e-4, 5)
    assert all(lift_evidence(cohorts, lift).max() < np.log(20) for lift in inside)


def test_cohorts_that_contradict_each_other_leave_no_lift():
    turned = [_pair((300, 150), (300, 10)), _pair((300, 10), (300, 150))]
    _, last = lift_sequence(turned)

    assert last.low >= last.high


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.45])
@pytest.mark.parametrize("seed", range(4))
def test_an_interval_holds_the_lifts_that_no_look_excluded_and_no_other(seed, spread):
    rng = np.random.default_rng(seed)
    lifts = rng.normal(0.1, spread, 5)
    cohorts = [
        _pair(
            (n, int(rng.binomial(n, np.clip(0.3 + lift, 0, 1)))),
            (n // 3, int(rng.binomial(n // 3, 0.3))),
        )
        for n, lift in zip(rng.integers(30, 900, 5).tolist(), lifts, strict=True)
    ]
    last = lift_sequence(cohorts)[-1]

    grid = np.linspace(-0.998, 0.998, 400)
    is_left = [lift_evidence(cohorts, lift).max() < np.log(20) for lift in grid]
    left = grid[is_left]
    step = grid[1] - grid[0]
    if last.low >= last.high:
        assert not left.size
    else:
        # An interval that is narrower than a step may hold no lift of the grid.
        assert left.size or last.high - last.low < step
        assert all(last.low - 1e-4 <= lift <= last.high + 1e-4 for lift in left)
        # Or it made room for its value.
        is_low, is_high = (last.value == end for end in last[1:])
        assert left.size == 0 or is_low or left[0] - last.low < step + 1e-4
        assert left.size == 0 or is_high or last.high - left[-1] < step + 1e-4


def test_an_interval_makes_room_for_its_own_value():
    cohorts = [_pair((200, 44), (50, 3))] * 3 + [_pair((200, 6), (50, 3))] * 6
    shown, found = lift_sequence(cohorts)[2::6]

    assert found.low == found.value < shown.low < found.high < shown.high
    assert lift_after_all(cohorts) == pytest.approx(found, abs=3e-5)


@pytest.mark.parametrize(
    "nothing", [_pair((0, 0), (5, 1)), _pair((9, 3), (0, 0)), _pair((0, 0), (0, 0))]
)
def test_a_cohort_without_both_arms_says_nothing(nothing):
    some = _pair((400, 80), (100, 8))

    (empty,) = lift_sequence([nothing])
    assert (empty.low, empty.high) == (-1, 1)
    after, (before,) = lift_sequence([some, nothing])[1], lift_sequence([some])
    assert after == pytest.approx(before, abs=1e-5)


def test_where_all_came_back_and_none_did_the_interval_holds_its_value():
    (found,) = lift_sequence([_pair((2000, 2000), (500, 0))])
    last = lift_after_all([_pair((2000, 0), (500, 500))])

    assert found.low < found.value == found.high == 1
    assert last.low == last.value == -1 < last.high


@pytest.mark.parametrize("counts", [((40, 0), (10, 0)), ((40, 40), (10, 10))])
def test_none_back_and_all_back_are_no_lift(counts):
    (found,) = lift_sequence([_pair(*counts)])

    assert found.value == 0
    assert found.low < 0 < found.high


def test_a_rate_that_moves_is_held_by_its_interval_and_is_not_out_for_good():
    summer, winter = [ArmCount(400, 40)] * 6, [ArmCount(400, 100)] * 40
    found = rate_sequence(summer + winter)

    assert found[5].high < 0.15 < found[-1].low
    assert all(each.low <= each.value <= each.high for each in found)
    over = against_pilot(summer + winter, ArmCount(300, 36))
    assert all(each.low <= each.value <= each.high for each in over)


def test_a_rate_is_held_by_its_sequence_and_ends_where_its_arm_does():
    found = rate_sequence([ArmCount(200, 24)] * 5)
    assert found[-1].low < 0.12 < found[-1].high
    assert found[-1].high - found[-1].low < found[0].high - found[0].low

    (none,), (every,) = rate_sequence([ArmCount(9, 0)]), rate_sequence([ArmCount(9, 9)])
    assert none.low == 0 < none.high < 1
    assert every.high == 1 > every.low > 0


def test_a_small_pilot_leaves_more_open_than_a_large_one():
    counts = [ArmCount(500, 100), ArmCount(500, 100)]
    small = against_pilot(counts, ArmCount(50, 6))[-1]
    large = against_pilot(counts, ArmCount(5000, 600))[-1]

    assert small.low < 0 < large.low < large.value < large.high < small.high


def test_of_three_texts_the_best_is_named_only_when_it_beat_each_other():
    clear = {"a": ArmCount(900, 150), "b": ArmCount(900, 60), "c": ArmCount(900, 70)}
    close = clear | {"c": ArmCount(900, 145)}

    assert compare([clear]).best == "a"
    assert compare([close]).best is None
    assert [(each.one, each.other) for each in compare([clear]).comparisons] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


@pytest.mark.parametrize("cohorts", [[], [{"only": ArmCount(50, 10)}]])
def test_one_text_has_nothing_to_be_better_than(cohorts):
    assert compare(cohorts) == (None, ())
