"""All campaigns together: what is claimed of their mean is seldom wrong."""

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.rules.measure.pooled import (
    mean_lift_sequence,
    programme_verdict,
    standing_together,
)
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair, weighted_difference

CLAIMS = {Verdict.WORKS, Verdict.HARMS}


def verdict(cohorts, *, is_over=False):
    return programme_verdict(cohorts, mean_lift_sequence(cohorts)[-1], is_over=is_over)


def ever_claimed(cohorts, at_once):
    """Say whether anything is claimed at the end of any week."""
    lifts = mean_lift_sequence(cohorts)
    ends = range(at_once, len(cohorts) + 1, at_once)
    return any(
        programme_verdict(cohorts[:end], lifts[end - 1], is_over=False) in CLAIMS
        for end in ends
        if not lifts[end - 1].low <= 0 <= lifts[end - 1].high
    )


def programme(random, *, added, treated=80, holdout=20, weeks=26, base=None):
    """Draw a year's half of weekly cohorts of campaigns whose mails add so much."""
    base = base or np.linspace(0.04, 0.1, len(added))
    ours = random.binomial(treated, base + added, (weeks, len(added)))
    theirs = random.binomial(holdout, base + 0 * added, (weeks, len(added)))
    return [
        ArmPair(ArmCount(treated, int(came)), ArmCount(holdout, int(self_come)))
        for came, self_come in zip(ours.ravel(), theirs.ravel(), strict=True)
    ]


@pytest.mark.parametrize("added", [(0, 0, 0), (0.04, 0, -0.04), (0.05, 0.05, 0.05)])
def test_the_mean_is_missed_at_any_look_in_less_than_one_programme_of_twenty(added):
    random, missed = np.random.default_rng(5), 0
    for _ in range(1000):
        cohorts = programme(random, added=np.array(added))
        # After each week all campaigns weigh alike.
        looks = mean_lift_sequence(cohorts)[len(added) - 1 :: len(added)]
        missed += any(not each.low <= np.mean(added) <= each.high for each in looks)
    assert binomtest(missed, 1000, 0.05, alternative="greater").pvalue > 0.001


def test_it_shows_what_the_campaigns_cannot_show_one_by_one():
    random, shown = np.random.default_rng(6), 0
    for _ in range(60):
        cohorts = programme(
            random, added=np.full(3, 0.06), treated=32, holdout=8, weeks=25
        )
        shown += verdict(cohorts) is Verdict.WORKS
    assert shown >= 48


@pytest.mark.parametrize(
    ("added", "sizes"),
    [
        ((0, 0, 0), (80, 20)),
        ((0.04, 0, -0.04), (80, 20)),
        ((0.1, -0.1), (800, 200)),  # each of which is shown within weeks
    ],
)
def test_where_mails_do_nothing_on_the_whole_little_is_claimed_at_any_look(
    added, sizes
):
    random, claimed = np.random.default_rng(7), 0
    treated, holdout = sizes
    for _ in range(100):
        cohorts = programme(
            random, added=np.array(added), treated=treated, holdout=holdout, base=0.12
        )
        claimed += ever_claimed(cohorts, len(added))
    assert binomtest(claimed, 100, 0.05, alternative="greater").pvalue > 0.001


GOOD = ArmPair(ArmCount(800, 160), ArmCount(200, 10))
BAD = ArmPair(ArmCount(800, 40), ArmCount(200, 60))
DULL = ArmPair(ArmCount(800, 40), ArmCount(200, 10))


def test_a_mean_that_moved_is_claimed_as_it_is_now():
    assert verdict([GOOD]) is Verdict.WORKS
    assert verdict([BAD]) is Verdict.HARMS
    assert verdict([GOOD, *[DULL] * 30]) is Verdict.CANNOT_TELL_YET
    assert verdict([GOOD, *[BAD] * 4]) is Verdict.HARMS


def test_arms_of_different_cohorts_are_no_comparison():
    apart = [ArmPair(ArmCount(90, 5), ArmCount()), ArmPair(ArmCount(), ArmCount(18, 1))]

    assert verdict(apart) is Verdict.CANNOT_TELL_YET
    assert verdict(apart, is_over=True) is Verdict.NO_HOLDOUT


def test_unlike_holdouts_do_not_make_the_variance_too_small():
    """A small holdout of a cohort with many returns weighs most in the variance."""
    cohorts = [
        ArmPair(ArmCount(1400, 140), ArmCount(1400, 140)),
        ArmPair(ArmCount(7200, 36), ArmCount(73, 0)),
    ]
    odds, eta = 2 * np.log(20), 5.0
    weights = [1400 / 2, 7200 * 73 / 7273]
    rates = [(0.1, 0.1), (0.005, 0.005)]
    least = sum(
        w**2 * sum(p * (1 - p) / arm.accounts for p, arm in zip(ps, pair, strict=True))
        for w, ps, pair in zip(weights, rates, cohorts, strict=True)
    )
    reach = np.sqrt((least + eta) * (odds + np.log((least + eta) / eta))) / sum(weights)

    last = mean_lift_sequence(cohorts)[-1]
    assert last.high - last.value >= reach


def test_an_interval_alone_claims_nothing_which_bets_do_not_bear_out():
    few = [ArmPair(ArmCount(8, 4), ArmCount(2, 0))]
    high = Estimate(0.5, 0.1, 0.9)

    assert programme_verdict(few, high, is_over=False) is Verdict.CANNOT_TELL_YET
    assert programme_verdict(few, high, is_over=True) is Verdict.TOO_FEW


def test_the_value_is_the_weighted_mean_and_unequal_arms_mislead_nobody():
    cohorts = [
        ArmPair(ArmCount(900, 90), ArmCount(100, 10)),
        ArmPair(ArmCount(100, 40), ArmCount(900, 360)),
        ArmPair(ArmCount(50, 20), ArmCount()),
    ]
    lifts = mean_lift_sequence(cohorts)

    assert [each.value for each in lifts] == pytest.approx([0, 0, 0])
    assert lifts[1].value == pytest.approx(weighted_difference(cohorts[:2]))
    assert lifts[2] == lifts[1]


def test_without_a_holdout_anything_may_be_true():
    assert mean_lift_sequence([]) == []
    alone = ArmPair(ArmCount(50, 20), ArmCount())
    one = ArmPair(ArmCount(1, 1), ArmCount(1, 0))
    assert mean_lift_sequence([one])[0].value == 1
    assert mean_lift_sequence([alone]) == [Estimate(0, -1, 1)]


def test_findings_stand_together_by_the_rule_of_benjamini_and_hochberg():
    """As scipy's, where one over the bet's gain stands for the p-value."""
    random = np.random.default_rng(8)
    for size in (1, 2, 5, 40):
        evidence = random.exponential(3, size)
        adjusted = false_discovery_control(np.exp(-evidence))
        assert standing_together(evidence) == (adjusted <= 0.05).tolist()
    assert standing_together([]) == []
