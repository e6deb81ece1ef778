"""What the demo says is true is what its report measures."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from campaigns.cli.demo import true_lift
from campaigns.domain.values import ArmCount
from tests.factories import NOON

WEEK = timedelta(weeks=1)


def test_cohorts_weigh_in_the_truth_what_they_do_in_the_report():
    enrolled = {"first": NOON, "second": NOON + WEEK, "third": NOON + 2 * WEEK}
    added = {"first": 0.1, "second": 0.2, "third": 0.9}

    class World:
        def true_effect(self, enrolled, *, window_days):
            (account,) = enrolled
            assert window_days == 30
            return added[account]

    def line(at, treated, holdout):
        return SimpleNamespace(
            enrolled_on=date.fromordinal(at.toordinal()),
            treated=ArmCount(treated),
            holdout=ArmCount(holdout),
        )

    campaign = SimpleNamespace(
        cohorts=[
            line(NOON, 60, 20),
            line(NOON + WEEK, 10, 10),
            line(NOON + 2 * WEEK, 3, 0),  # nobody to compare them with
        ]
    )
    found = true_lift(World(), campaign, enrolled, window_days=30)
    assert found == pytest.approx((15 * 0.1 + 5 * 0.2) / 20)
