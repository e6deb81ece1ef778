import numpy as np
import pytest

from campaigns.domain.values import ArmCount
from campaigns.errors import InputError
from campaigns.rules.measure.lift import lift_interval, risk_ratio, score_interval
from campaigns.rules.measure.losses import arm_sizes, unequal_loss
from campaigns.rules.measure.power import chance_to_show, least_lift_shown
from campaigns.rules.measure.rates import exact_interval
from campaigns.rules.measure.segments import shrunken_rates
from campaigns.rules.measure.strata import (
    ArmPair,
    stratified_lift,
    weighted_difference,
)
from campaigns.rules.measure.values import (
    adjusted_lift,
    difference_of_means,
    money,
)

EMPTY, SOME = ArmCount(0, 0), ArmCount(20, 5)


def test_an_empty_arm_has_none_of_them():
    assert exact_interval(EMPTY) is None
    assert score_interval(SOME, EMPTY) is None
    assert risk_ratio(EMPTY, SOME) is None
    assert risk_ratio(SOME, ArmCount(20, 0)) is None
    assert unequal_loss(SOME, EMPTY) is None
    assert arm_sizes(0, 0, holdout_share=0.2) is None
    assert stratified_lift([ArmPair(SOME, EMPTY)]) is None
    assert weighted_difference([]) is None


def test_strata_are_not_misled_as_their_sum_is():
    # In each stratum the mail does nothing; more were mailed where more come back.
    strata = [
        ArmPair(ArmCount(900, 360), ArmCount(100, 40)),
        ArmPair(ArmCount(100, 5), ArmCount(900, 45)),
    ]
    found = stratified_lift(strata)
    summed = lift_interval(ArmCount(1000, 365), ArmCount(1000, 85))

    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.low < 0 < found.high
    assert summed.low > 0.2
    assert weighted_difference(strata) == found.value


def test_a_stratum_weighs_as_much_as_it_can_say():
    strata = [
        ArmPair(ArmCount(100, 50), ArmCount(100, 30)),
        ArmPair(ArmCount(10, 9), ArmCount(10, 1)),
        ArmPair(ArmCount(500, 400), ArmCount(0, 0)),
    ]
    # Weights of 100 · 100 / 200 and 10 · 10 / 20; the third has nothing to compare.
    expected = (50 * 0.2 + 5 * 0.8) / 55

    assert weighted_difference(strata) == pytest.approx(expected)
    assert stratified_lift(strata).value == pytest.approx(expected)


def test_a_loss_that_both_arms_share_is_no_alarm_and_an_unequal_one_is():
    # As `returned`: those that reached measurement.
    alike = unequal_loss(ArmCount(4000, 3800), ArmCount(1000, 950))
    lost = unequal_loss(ArmCount(4000, 3800), ArmCount(1000, 1000))

    assert (alike.treated, alike.holdout) == (0.05, 0.05)
    assert not alike.is_alarming
    assert lost.is_alarming


def test_sizes_that_chance_does_not_make_are_an_alarm():
    assert not arm_sizes(4010, 990, holdout_share=0.2).is_alarming
    off = arm_sizes(4000, 800, holdout_share=0.2)
    assert off.is_alarming
    assert off.findable_loss == pytest.approx(0.165, abs=0.001)


def test_the_loss_that_is_said_to_be_found_is_found_in_nine_cases_of_ten():
    rng = np.random.default_rng(3)
    share = arm_sizes(4000, 1000, holdout_share=0.2).findable_loss
    found = 0
    for _ in range(400):
        holdout = rng.binomial(5000, 0.2)
        left = rng.binomial(holdout, 1 - share)
        found += arm_sizes(5000 - holdout, left, holdout_share=0.2).is_alarming
    assert 0.85 <= found / 400 <= 0.95


def test_a_small_segment_is_drawn_to_the_others_and_a_large_one_is_not():
    counts = [ArmCount(5, 3), ArmCount(4000, 800), ArmCount(4000, 200), EMPTY]
    small, high, low, empty = shrunken_rates(counts)

    assert 0.12 < small.value < 0.6
    assert high.value == pytest.approx(0.2, abs=0.003)
    assert low.value == pytest.approx(0.05, abs=0.003)
    assert empty is None


@pytest.mark.parametrize("returned", [0, 10])
def test_segments_where_none_or_all_came_back_are_certain_of_nothing_else(returned):
    assert [each.value for each in shrunken_rates([ArmCount(10, returned)] * 2)] == [
        returned / 10,
        returned / 10,
    ]


def test_what_was_known_before_narrows_the_interval_and_not_the_lift():
    rng = np.random.default_rng(5)
    before = rng.gamma(2, 50, 4000)
    outcome = (rng.random(4000) < np.clip(before / 400, 0, 1)).astype(float)
    arms = (outcome[:3000], before[:3000]), (outcome[3000:], before[3000:])
    adjusted = adjusted_lift(*arms)
    nothing = adjusted_lift(*((of, np.ones_like(of)) for of, _ in arms))

    assert adjusted.high - adjusted.low < 0.95 * (nothing.high - nothing.low)
    assert nothing.value == pytest.approx(outcome[:3000].mean() - outcome[3000:].mean())
    assert adjusted.low < 0 < adjusted.high


def test_money_has_an_interval_and_says_if_it_hangs_on_one_account():
    rng = np.random.default_rng(7)
    treated = np.where(rng.random(3000) < 0.2, rng.lognormal(4, 1, 3000), 0)
    holdout = np.where(rng.random(800) < 0.1, rng.lognormal(4, 1, 800), 0)
    found = money([(treated, holdout)])

    assert 0 < found.per_account.low < found.per_account.value < found.per_account.high
    assert not found.hangs_on_one
    assert found == money([(treated, holdout)])
    treated[0] = treated.sum()
    assert money([(treated, holdout)]).hangs_on_one


@pytest.mark.parametrize(
    ("sizes", "rate", "amounts"),
    [
        ((600, 200), 0.15, lambda rng, n: rng.gamma(2, 40, n)),
        # Three held-out accounts pay; one of all pays a quarter of everything.
        ((160, 40), 0.08, lambda rng, n: rng.lognormal(4, 1.3, n)),
    ],
    ids=["even", "hanging on few"],
)
def test_money_covers_the_truth_as_often_as_it_says(sizes, rate, amounts):
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        arms = tuple(np.where(rng.random(n) < rate, amounts(rng, n), 0) for n in sizes)
        interval = money([arms], seed=seed).per_account
        covered += interval.low <= 0 <= interval.high
    # A binomial of 200 and .95 is below 179 once in a thousand times.
    assert covered >= 179


def test_one_account_that_was_held_out_and_pays_makes_no_certainty():
    pays, not_ = np.array([100.0]), np.zeros(1)
    found = money([(np.zeros(4), pays if n == 7 else not_) for n in range(40)])

    assert found.per_account.value == pytest.approx(-2.5)
    assert found.per_account.low < -2.5 < found.per_account.high


@pytest.mark.parametrize("sizes", [(1980, 20), (1600, 400)])
def test_the_range_of_money_is_as_wide_with_many_cohorts(sizes):
    rng = np.random.default_rng(3)
    cohorts = [tuple(rng.gamma(4, 25, n) for n in sizes) for _ in range(12)]
    found = difference_of_means(cohorts)
    error = 50 * np.sqrt(sum(1 / (12 * n) for n in sizes))

    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_money_is_compared_cohort_by_cohort():
    def cohort(treated, holdout, rate):
        return tuple(
            np.repeat([100.0, 0.0], [round(n * rate), n - round(n * rate)])
            for n in (treated, holdout)
        )

    # Nothing is added in either; the sums of the arms are 7 apart.
    changed = [cohort(900, 100, 0.2), cohort(500, 500, 0.05), cohort(20, 0, 0.5)]
    found = money(changed).per_account

    assert found.value == pytest.approx(0)
    assert found.low < 0 < found.high < 5


@pytest.mark.parametrize(
    "act",
    [lambda a, b: money([(a, b)]), lambda a, b: adjusted_lift((a, a), (b, b))],
    ids=["money", "adjusted_lift"],
)
def test_amounts_of_few_accounts_are_refused(act):
    with pytest.raises(InputError, match="an arm has 29 accounts; amounts need 30"):
        act(np.ones(29), np.ones(100))


def test_more_weeks_show_more_and_small_lifts_need_more():
    weeks = [(160, 40)] * 10
    chances = chance_to_show(weeks, base_rate=0.06, lift=0.06)

    assert list(chances) == sorted(chances)
    assert chances[-1] > 0.5
    nothing = chance_to_show(weeks, base_rate=0.06, lift=0.0)
    assert nothing[-1] <= 0.05
    least = least_lift_shown(weeks, base_rate=0.06)
    assert 0.05 < least < 0.12
    assert least_lift_shown([(4, 1)], base_rate=0.06) is None


def test_while_nobody_came_back_few_that_were_watched_longest_say_little():
    from campaigns.rules.measure.survival import returned_share

    few = returned_share([], [(7.0, 900), (20.0, 12)])

    assert (few.value, few.low) == (0, 0)
    assert few.high == pytest.approx(1 - 0.025 ** (1 / 12))
    assert returned_share([], []) is None
    assert returned_share([2.0], []) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], "arm 'mail' has no accounts"),
        ([0, np.nan, 1, np.nan], "'mail' has 2 accounts .* the first at place 2"),
        ([1, np.inf], "'mail' has 1 accounts without an outcome"),
    ],
)
def test_an_arm_without_accounts_or_outcomes_is_refused(outcomes, said):
    from campaigns.rules.measure.trial import measured

    arms = {"mail": np.array(outcomes, dtype=float), "holdout": np.zeros(40)}
    with pytest.raises(InputError, match=said):
        measured(arms)


@pytest.mark.parametrize(("mailed", "is_refused"), [(1, False), (2, True)])
def test_a_control_that_was_written_to_is_none(mailed, is_refused):
    from campaigns.rules.measure.trial import measured

    outcomes = {"mail": np.ones(150), "holdout": np.zeros(150)}
    times = {"mail": np.ones(150), "holdout": np.arange(150) < mailed}

    if is_refused:
        with pytest.raises(InputError, match="2 of 150 accounts of 'holdout' were wri"):
            measured(outcomes, mailed=times)
    else:
        assert measured(outcomes, mailed=times).contrasts[0].rates.lift.value == 1


def test_arms_of_which_unlike_shares_have_an_outcome_are_refused():
    from campaigns.rules.measure.trial import measured

    outcomes = {"mail": np.arange(950) < 120, "holdout": np.arange(1000) < 90}
    said = "50 of 1,000 accounts of 'mail' have no outcome .* of 'holdout' 0 of 1,000"
    with pytest.raises(InputError, match=said):
        measured(outcomes, lost={"mail": 50})
    with pytest.raises(InputError, match="60 of 60 accounts of 'other' have no"):
        measured(outcomes, lost={"other": 60})
    alike = measured(outcomes, lost={"mail": 50, "holdout": 52})
    assert alike.means["mail"][0] == 950


def test_where_none_came_back_or_each_no_group_is_certain():
    nobody, each = (
        shrunken_rates([ArmCount(20, n), ArmCount(40, 2 * n)]) for n in (0, 20)
    )
    assert [(one.low, 0.05 < one.high < 0.2) for one in nobody] == [(0, True)] * 2
    assert [(0.8 < one.low < 0.95, one.high) for one in each] == [(True, 1)] * 2
