import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.rules.measure.lift import lift_interval
from campaigns.rules.measure.rates import Estimate, against_baseline, rate_interval
from campaigns.rules.measure.verdict import verdict_of


def test_newcombes_own_example():
    # Newcombe (1998), table II, row (a): 56/70 against 48/80, method 10.
    _, low, high = lift_interval(ArmCount(70, 56), ArmCount(80, 48))

    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_wilsons_interval_of_a_published_example():
    # Newcombe (1998), Statistics in Medicine 17:857-872, table I: 15 of 148.
    _, low, high = rate_interval(ArmCount(148, 15))

    assert (low, high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


counts = st.integers(1, 500).flatmap(
    lambda n: st.integers(0, n).map(lambda k: ArmCount(n, k))
)


@given(counts, counts)
def test_a_lift_turned_round_is_its_mirror(one, other):
    there, back = lift_interval(one, other), lift_interval(other, one)

    assert there.low == pytest.approx(-back.high)
    assert there.low <= there.value <= there.high


@given(counts)
def test_a_rate_lies_in_its_interval_within_0_and_1(count):
    rate = rate_interval(count)

    assert 0 <= rate.low <= rate.value <= rate.high <= 1


def test_an_empty_arm_has_no_rate_no_lift_and_no_test():
    empty, some = ArmCount(0, 0), ArmCount(10, 1)

    assert rate_interval(empty) is None
    assert lift_interval(some, empty) is None
    assert against_baseline(empty, baseline=0.12) is None


@pytest.mark.parametrize(
    ("lift", "is_over", "verdict"),
    [
        (Estimate(0.1, 0.05, 0.15), False, Verdict.WORKS),
        (Estimate(-0.1, -0.15, -0.05), False, Verdict.HARMS),
        (Estimate(0.1, -0.05, 0.15), False, Verdict.CANNOT_TELL_YET),
        (Estimate(0.1, -0.05, 0.15), True, Verdict.NO_DIFFERENCE_SHOWN),
        (Estimate(0.1, 0.06, 0.04), False, Verdict.LIFT_CHANGED),
        (None, False, Verdict.CANNOT_TELL_YET),
        (None, True, Verdict.NO_HOLDOUT),
    ],
)
def test_a_verdict_needs_an_interval_without_0_or_the_end(lift, is_over, verdict):
    assert verdict_of(lift, accounts=500, is_over=is_over) is verdict


def test_where_chance_may_have_held_out_nobody_a_holdout_is_not_what_lacks():
    assert verdict_of(None, accounts=4, is_over=True) is Verdict.TOO_FEW
    assert verdict_of(None, accounts=4, is_over=False) is Verdict.CANNOT_TELL_YET
