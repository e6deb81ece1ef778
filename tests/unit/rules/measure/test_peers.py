"""What others compute too is equal to theirs.

Not compared is the score interval: statsmodels 0.15 has .3440 where Miettinen and
Nurminen's own method gives .3382, as published and as ours.
"""

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import (
    binom_test,
    confint_proportions_2indep,
    proportion_confint,
)

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.lift import lift_interval
from campaigns.rules.measure.losses import arm_sizes
from campaigns.rules.measure.rates import (
    against_baseline,
    exact_interval,
    rate_interval,
)
from campaigns.rules.measure.segments import adjusted_p_values
from campaigns.rules.measure.survival import returned_share
from campaigns.rules.measure.values import adjusted_lift

counts = st.integers(2, 400).flatmap(
    lambda n: st.integers(0, n).map(lambda k: ArmCount(n, k))
)


def _ends(estimate):
    return [estimate.low, estimate.high]


@settings(deadline=None, max_examples=60)
@given(counts)
def test_intervals_of_a_rate_are_statsmodels_own(count):
    args = count.returned, count.accounts

    wilson = proportion_confint(*args, method="wilson")
    assert _ends(rate_interval(count)) == pytest.approx(wilson, abs=1e-9)
    exact = proportion_confint(*args, method="beta")
    assert _ends(exact_interval(count)) == pytest.approx(exact, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(counts, counts)
def test_intervals_of_a_difference_are_statsmodels_own(one, other):
    args = one.returned, one.accounts, other.returned, other.accounts

    newcombe = confint_proportions_2indep(*args, method="newcomb", compare="diff")
    assert _ends(lift_interval(one, other)) == pytest.approx(newcombe, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(counts, st.floats(0.01, 0.9))
def test_exact_tests_are_statsmodels_own(count, baseline):
    found = against_baseline(count, baseline=baseline)
    for ours, side in (
        (found.p_greater, "larger"),
        (found.p_less, "smaller"),
        (found.p_different, "two-sided"),
    ):
        theirs = binom_test(
            count.returned, count.accounts, prop=baseline, alternative=side
        )
        assert ours == pytest.approx(theirs, abs=1e-9)


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_statsmodels_own(p_values):
    theirs = multipletests(p_values, method="fdr_bh")[1]

    assert adjusted_p_values(p_values) == pytest.approx(theirs, abs=1e-9)


@pytest.fixture(scope="module")
def trial():
    rng = np.random.default_rng(2)
    variant = (rng.random(5_000) < 0.8).astype(int)
    before = rng.gamma(2, 30, 5_000)
    back = rng.random(5_000) < np.clip(0.05 + before / 500 + 0.04 * variant, 0, 1)
    columns = {"variant": variant, "before": before, "back": back.astype(float)}
    return pd.DataFrame(columns)


def test_the_adjusted_lift_is_tea_tastings_own(trial):
    arms = [trial[trial.variant == arm] for arm in (1, 0)]
    ours = adjusted_lift(
        *((arm.back.to_numpy(), arm.before.to_numpy()) for arm in arms)
    )
    metric = tea_tasting.Mean("back", "before", use_t=False, equal_var=False)
    theirs = tea_tasting.Experiment(lift=metric).analyze(trial)["lift"]

    assert ours.value == pytest.approx(theirs.effect_size, abs=1e-9)
    expected = [theirs.effect_size_ci_lower, theirs.effect_size_ci_upper]
    assert _ends(ours) == pytest.approx(expected, abs=1e-9)


def test_the_check_of_sizes_is_tea_tastings_own(trial):
    treated = int(trial.variant.sum())
    ours = arm_sizes(treated, len(trial) - treated, holdout_share=0.2)
    metric = tea_tasting.SampleRatio({0: 1, 1: 4}, method="norm", correction=False)
    theirs = tea_tasting.Experiment(sizes=metric).analyze(trial)["sizes"]

    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_share_that_came_back_while_windows_are_open(seed):
    rng = np.random.default_rng(seed)
    came, watched = rng.exponential(40, 300), rng.choice([3.0, 10.0, 17.0, 24.0], 300)
    is_back = came <= watched
    times = np.where(is_back, came, watched)
    theirs = SurvfuncRight(times, is_back)

    days, counts = np.unique(watched[~is_back], return_counts=True)
    found = returned_share(
        list(map(float, times[is_back])),
        list(zip(map(float, days), map(int, counts), strict=True)),
    )
    last = theirs.surv_prob[-1]
    reach = 1.959963984540054 * theirs.surv_prob_se[-1] / (last * abs(np.log(last)))
    ends = [1 - last ** np.exp(-reach), 1 - last ** np.exp(reach)]
    assert found.value == pytest.approx(1 - last, abs=1e-9)
    assert _ends(found) == pytest.approx(ends, abs=1e-9)
