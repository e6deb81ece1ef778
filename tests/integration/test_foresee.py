from datetime import timedelta

import pytest

from campaigns.errors import ActionRefusedError
from campaigns.steps.foresee import foresee
from campaigns.store import campaigns
from tests.factories import NOON, add_account, campaign, churn, programme

WEEK = timedelta(days=7)


@pytest.fixture
def applied(sessions):
    """A campaign that was applied, for 40 accounts of which 4 have no contact."""
    with sessions.begin() as session:
        accounts = [f"acc-{number}" for number in range(40)]
        for number, account in enumerate(accounts):
            add_account(session, account, contacts=0 if number < 4 else 1)
        churn(session, *accounts)
        capped = campaign(caps={"accounts_per_cohort": 20})
        campaigns.apply(session, capped, now=NOON)
    return sessions


def _foreseen(sessions, moments, **changes):
    settings = {"base_rate": 0.1, "programme": programme(holdout_share=0.5)} | changes
    return foresee(sessions, "spring", moments=moments, now=NOON, **settings)


def test_only_accounts_that_may_be_enrolled_are_counted(applied):
    found = _foreseen(applied, [NOON, NOON + WEEK, NOON + 2 * WEEK])

    assert found.audience == 36
    # All churned within the last four weeks: nine a week.
    assert found.newcomers_a_week == 9
    assert found.cohorts == (20, 20, 14)
    assert found.verdict_by == NOON + 2 * WEEK + programme().win_back.window


def test_what_is_too_small_says_so_and_nothing_is_enrolled(applied):
    found = _foreseen(applied, [NOON])

    assert found.least_lift is None
    assert set(found.shown_by.values()) == {None}
    with applied.begin() as session:
        assert campaigns.status(session, "spring").enrolled == {}


def test_a_campaign_that_runs_for_long_shows_more_and_a_larger_holdout_too(applied):
    moments = [NOON + number * WEEK for number in range(80)]
    long = _foreseen(applied, moments, programme=programme(holdout_share=0.2))

    assert long.least_lift < _foreseen(applied, moments[:20]).least_lift
    assert long.with_half_held_out < long.least_lift
    assert long.shown_by[0.15] < long.verdict_by
    assert long.shown_by[0.05] is None


def test_without_a_holdout_nothing_is_ever_shown(applied):
    assert _foreseen(applied, [NOON], programme=programme()).least_lift is None


def test_a_schedule_that_is_over_is_refused(applied):
    with pytest.raises(ActionRefusedError, match="no date left"):
        _foreseen(applied, [])
