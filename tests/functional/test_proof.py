"""A share of the delivery proof: limits, and noes beside a sender."""

import pytest

from benchmarks.interleavings import tried
from benchmarks.limits import limited, throttled
from campaigns.simulation.trials import bench


@pytest.fixture(scope="module")
def shared_bench():
    with bench() as made:
        yield made


def test_throttling_loses_nothing_and_costs_little(shared_bench):
    sent = throttled(shared_bench, mails=500, burst_every=200)

    assert sent.accepted == 500
    assert sent.throttled == 10
    # Two bursts in forty seconds; the proof has one in seventy.
    assert sent.accepted / sent.seconds > 0.85 * 14


def test_the_daily_quota_is_kept_to_the_mail(shared_bench):
    sent = limited(shared_bench, mails=450)

    assert (sent.by_day, sent.throttled, sent.posts) == ((200, 200, 50), 0, 450)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_no_mail_is_attempted_after_a_committed_no(request, database):
    noes, late = tried(request.getfixturevalue(f"{database}_url"), mails=300)

    assert (noes, late) == (300, [])
