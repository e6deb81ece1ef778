from dataclasses import replace
from datetime import timedelta

import pytest

from campaigns.domain.values import ArmCount, CohortCount
from campaigns.domain.words import Arm
from campaigns.present.words import baseline_sentence
from campaigns.rules.measure.strata import ArmPair
from campaigns.steps.compare import Baseline, last_look, looks, pairs_of
from tests.factories import NOON

PAIRS = [
    ArmPair(ArmCount(800, 160), ArmCount(200, 12)),
    ArmPair(ArmCount(800, 150), ArmCount(200, 14)),
]


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        (Baseline(0.12), "12.0 % (an unknown number of accounts, so it is taken"),
        (Baseline(0.12, 20_000), "12.0 % (20,000 accounts)"),
    ],
)
def test_the_rate_is_held_against_the_pilots(baseline, said):
    last = looks(baseline, PAIRS)[-1]

    assert last.over_pilot.value == pytest.approx(310 / 1600 - 0.12)
    assert 0 < last.over_pilot.low < last.over_pilot.value < last.over_pilot.high
    sentence = baseline_sentence(
        last, baseline=baseline.rate, accounts=baseline.accounts
    )
    assert f"against the pilot's {said}" in sentence
    assert "is higher." in sentence


@pytest.mark.parametrize(
    ("baseline", "word"),
    [
        (Baseline(0.3), "lower"),
        (Baseline(0.19), "not clearly different"),
        # So small a pilot leaves open what it really was.
        (Baseline(0.12, 40), "not clearly different"),
    ],
)
def test_what_is_not_clear_is_called_so(baseline, word):
    last = looks(baseline, PAIRS)[-1]
    rate, accounts = baseline

    assert f"is {word}." in baseline_sentence(last, baseline=rate, accounts=accounts)


def test_before_a_window_closed_and_without_an_arm_there_is_nothing_to_compare():
    nothing, first = looks(Baseline(0.12), [ArmPair(ArmCount(50, 5), ArmCount())])

    assert nothing.treated == ArmCount()
    assert nothing.over_pilot is None
    assert (first.holdout_rate, first.lift, first.one_look) == (None, None, None)
    assert first.treated_rate.value == 0.1
    said = baseline_sentence(nothing, baseline=0.12, accounts=None)
    assert said == "Nothing to hold against the pilot's rate yet."


def test_a_holdout_that_was_made_larger_makes_no_lift():
    # Nothing is added in either cohort; in the second one fewer come back.
    changed = [
        ArmPair(ArmCount(900, 180), ArmCount(100, 20)),
        ArmPair(ArmCount(500, 25), ArmCount(500, 25)),
    ]
    for found in (
        looks(Baseline(0.12), changed)[-1],
        last_look(Baseline(0.12), changed),
    ):
        assert found.lift.value == pytest.approx(0)
        assert found.one_look.value == pytest.approx(0)
        assert found.one_look.low < 0 < found.one_look.high


def test_cohorts_come_in_the_order_in_which_their_windows_closed():
    def count(cohort, day, arm, accounts, segment):
        closes = NOON + timedelta(days=day)
        return CohortCount(
            "spring", cohort, NOON, closes, arm, segment, "", None, accounts, cohort
        )

    counts = [
        count(1, 40, Arm.TREATED, 10, "a"),
        count(2, 30, Arm.TREATED, 20, "a"),
        count(2, 30, Arm.HOLDOUT, 5, "a"),
        count(2, 30, Arm.TREATED, 7, "b"),
    ]

    assert pairs_of(counts) == [
        ArmPair(ArmCount(27, 4), ArmCount(5, 2)),
        ArmPair(ArmCount(10, 1), ArmCount()),
    ]


def test_the_last_look_is_that_of_all_looks():
    baseline = Baseline(0.12, 400)
    one, other = looks(baseline, PAIRS)[-1], last_look(baseline, PAIRS)

    assert other.lift == pytest.approx(one.lift, abs=3e-5)
    assert replace(one, lift=None) == replace(other, lift=None)
    assert last_look(baseline, []) == looks(baseline, [])[-1]
