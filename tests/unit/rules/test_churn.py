from datetime import timedelta

import pytest

from campaigns.domain.definitions import ChurnDefinition
from campaigns.domain.values import AccountActivity, SubscriptionSpan
from campaigns.rules.churn import find_churn
from tests.factories import at

BOTH = ChurnDefinition("both", by_subscription=True, silent_for=timedelta(days=60))
ENDED = ChurnDefinition("ended", by_subscription=True, silent_for=None)
SILENT = ChurnDefinition("silent", by_subscription=False, silent_for=timedelta(days=90))
JUNE = at("2026-06-01")


def span(start, end=None, kind="voluntary", **more):
    return SubscriptionSpan(
        at(start), at(end) if end else None, kind if end else None, **more
    )


def churn(definition, *spans, used=None, as_of=JUNE):
    activity = AccountActivity("acc-1", spans, at(used) if used else None)
    return find_churn(activity, as_of=as_of, definition=definition)


def test_an_ended_subscription_is_churn_on_the_day_it_ended():
    assert churn(ENDED, span("2025-01-01", "2026-03-01")) == at("2026-03-01")


def test_a_running_subscription_is_no_churn():
    spans = span("2025-01-01", "2026-03-01"), span("2026-03-01")

    assert churn(ENDED, *spans) is None


def test_an_end_after_the_date_is_not_known_yet():
    spans = (span("2025-01-01", "2026-03-01"),)

    assert churn(ENDED, *spans, as_of=at("2026-03-01")) is None
    assert churn(ENDED, *spans, as_of=at("2026-03-02")) == at("2026-03-01")


def test_a_subscription_that_begins_after_the_date_does_not_exist():
    spans = span("2025-01-01", "2026-03-01"), span("2026-06-01")

    assert churn(ENDED, *spans) == at("2026-03-01")


@pytest.mark.parametrize("kind", ["dunning", "merged"])
def test_dunning_and_merger_are_no_churn_however_silent(kind):
    spans = (span("2025-01-01", "2026-01-01", kind),)

    assert churn(BOTH, *spans, used="2025-12-01") is None


def test_an_upgrade_is_no_churn():
    assert churn(ENDED, span("2025-01-01", "2026-01-01", "upgraded")) is None


def test_a_free_plan_does_not_keep_an_account():
    spans = span("2025-01-01", "2026-03-01"), span("2026-03-01", plan_is_free=True)

    assert churn(ENDED, *spans) == at("2026-03-01")


def test_silence_is_churn_once_its_days_are_full():
    assert churn(SILENT, used="2026-03-03") == JUNE
    assert churn(SILENT, used="2026-03-03T00:00:01") is None


def test_of_two_rules_the_earlier_moment_counts():
    spans = (span("2025-01-01", "2026-05-01"),)

    assert churn(BOTH, *spans, used="2026-01-01") == at("2026-03-02")


def test_who_never_came_cannot_leave():
    assert churn(BOTH) is None
