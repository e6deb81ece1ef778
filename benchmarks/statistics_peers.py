"""What statsmodels and tea-tasting compute too, by them and by us, call by call."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import tea_tasting
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

_ROUNDS: Final = 7
_SECONDS_A_ROUND: Final = 0.2
_DAYS: Final = 24.0  # that everybody was watched
_HELD_OUT: Final = (36, 600)
_MAILED: Final = (288, 2_400)

Call = Callable[[], object]


class Pair(NamedTuple):
    """One statistic, both ways.

    Attributes:
        what: Is computed.
        ours: Computes it once.
        peer: The library that computes it too.
        theirs: Computes it once.
    """

    what: str
    ours: Call
    peer: str
    theirs: Call


class Spent(NamedTuple):
    """Medians of rounds in turn, in seconds a call; their ratio is a median too."""

    ours: float
    theirs: float
    ratio: float


def pairs(accounts: int) -> list[Pair]:
    """Return every statistic that both sides have, over a trial of so many accounts."""
    return [*_of_counts(), *_of_accounts(accounts)]


def spent(pair: Pair) -> Spent:
    """Time both sides in turn: a machine's speed drifts for both."""
    longest = max(_seconds(pair.ours, 1), _seconds(pair.theirs, 1))
    calls = max(3, int(_SECONDS_A_ROUND / longest))
    rounds = [
        (_seconds(pair.ours, calls), _seconds(pair.theirs, calls))
        for _ in range(_ROUNDS)
    ]
    return Spent(
        median(ours for ours, _ in rounds),
        median(theirs for _, theirs in rounds),
        median(ours / theirs for ours, theirs in rounds),
    )


def _seconds(call: Call, calls: int) -> float:
    begun = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - begun) / calls


def _of_counts() -> list[Pair]:
    mailed, held_out = (ArmCount(n, k) for k, n in (_MAILED, _HELD_OUT))
    p_values = np.random.default_rng(1).random(1_000).tolist()
    return [
        Pair(
            "Wilson interval",
            lambda: rate_interval(mailed),
            "statsmodels",
            lambda: proportion_confint(*_MAILED, method="wilson"),
        ),
        Pair(
            "Clopper-Pearson interval",
            lambda: exact_interval(mailed),
            "statsmodels",
            lambda: proportion_confint(*_MAILED, method="beta"),
        ),
        Pair(
            "Newcombe's interval of a lift",
            lambda: lift_interval(mailed, held_out),
            "statsmodels",
            lambda: confint_proportions_2indep(
                *_MAILED, *_HELD_OUT, method="newcomb", compare="diff"
            ),
        ),
        Pair(
            "three exact tests against a baseline",
            lambda: against_baseline(mailed, baseline=0.12),
            "statsmodels",
            lambda: [
                binom_test(*_MAILED, prop=0.12, alternative=side)
                for side in ("larger", "smaller", "two-sided")
            ],
        ),
        Pair(
            "1,000 p-values adjusted",
            lambda: adjusted_p_values(p_values),
            "statsmodels",
            lambda: multipletests(p_values, method="fdr_bh"),
        ),
    ]


def _of_accounts(accounts: int) -> list[Pair]:
    trial = _trial(accounts)
    treated = int(trial.variant.sum())
    times = np.minimum(np.random.default_rng(1).exponential(40, accounts // 10), _DAYS)
    came = times[times < _DAYS].tolist()
    watched = [(_DAYS, len(times) - len(came))]
    adjusted = tea_tasting.Mean("back", "before", use_t=False, equal_var=False)
    sizes = tea_tasting.SampleRatio({0: 1, 1: 4}, method="norm", correction=False)
    return [
        Pair(
            f"lift adjusted by use before, {accounts:,} accounts",
            lambda: adjusted_lift(
                *(
                    (arm.back.to_numpy(), arm.before.to_numpy())
                    for arm in (trial[trial.variant == 1], trial[trial.variant == 0])
                )
            ),
            "tea-tasting",
            lambda: tea_tasting.Experiment(lift=adjusted).analyze(trial),
        ),
        Pair(
            f"sizes of the arms, {accounts:,} accounts",
            lambda: arm_sizes(treated, accounts - treated, holdout_share=0.2),
            "tea-tasting",
            lambda: tea_tasting.Experiment(sizes=sizes).analyze(trial),
        ),
        Pair(
            f"Kaplan-Meier, {len(times):,} accounts",
            lambda: returned_share(came, watched),
            "statsmodels",
            lambda: SurvfuncRight(times, times < _DAYS),
        ),
    ]


def _trial(accounts: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    variant = (rng.random(accounts) < 0.8).astype(int)
    before = rng.gamma(2, 30, accounts)
    back = rng.random(accounts) < np.clip(0.05 + before / 500, 0, 1)
    columns = {"variant": variant, "before": before, "back": back.astype(float)}
    return pd.DataFrame(columns)
