"""Pacing: never more than SES allows, whatever is asked when; and slower if told so."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.domain.values import SendingQuota
from campaigns.rules.pacing import (
    Allowance,
    Policy,
    after_asking,
    after_halt,
    after_none_taken,
    after_throttling,
    grant,
    needs_asking,
    share_of_rate,
)
from tests.factories import NOON

_FREE = Policy()


def allowance(per_second=14, per_day=50_000, sent=0, **changes):
    quota = SendingQuota(per_second, per_day, sent)
    return replace(Allowance(), quota=quota, asked_at=NOON, **changes)


def granted(known, wanted, *, policy=_FREE, **after):
    now = NOON + timedelta(**after)
    return grant(known, wanted, policy=policy, now=now)


def test_what_is_above_the_rate_waits_for_the_next_second():
    given_, after = granted(allowance(), 20)

    assert given_.mails == 14
    assert given_.because is None
    assert given_.again_at == NOON + timedelta(seconds=1.02)
    assert granted(after, 20, seconds=1)[0].mails == 0
    assert granted(after, 20, seconds=1.02)[0].mails == 14


def test_a_rate_below_one_a_second_waits_its_seconds():
    _, after = granted(allowance(per_second=0.5), 1)

    assert granted(after, 1, seconds=2)[0].mails == 0
    assert granted(after, 1, seconds=2.06)[0].mails == 1


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 40)), max_size=60),
    st.sampled_from([0.5, 1, 3.7, 14, 50]),
    st.sampled_from([0, 0.1]),
)
def test_whatever_is_asked_when_the_rate_holds(asks, per_second, reserve):
    known, sent = allowance(per_second), []
    for milliseconds, wish in sorted(asks):
        given_, known = granted(
            known, wish, policy=Policy(reserve), milliseconds=milliseconds
        )
        sent.append((NOON + timedelta(milliseconds=milliseconds), given_.mails))

    per_second *= 1 - reserve
    for end, _ in sent:
        since = end - timedelta(seconds=max(1, 1 / per_second))
        assert sum(n for at_, n in sent if since < at_ <= end) <= max(1, per_second)


def test_the_days_quota_is_left_to_others_in_part():
    known = allowance(per_second=1_000, per_day=200, sent=50)
    given_, after = granted(known, 500, policy=Policy(reserve_share=0.1))

    assert given_.mails == 130
    assert given_.because == "the daily quota of SES is spent"
    assert given_.again_at == NOON + timedelta(minutes=5)
    assert granted(after, 1, policy=Policy(reserve_share=0.1), hours=1)[0].mails == 0


def test_what_is_on_its_way_while_ses_counts_is_not_granted_twice():
    _, after = granted(allowance(per_second=1_000, per_day=10), 7)
    # SES has not counted the seven yet.
    asked = after_asking(after, SendingQuota(1_000, 10, 0), now=NOON)

    assert granted(asked, 10)[0].mails == 3


def test_a_new_domain_sends_few_mails_on_its_first_days():
    policy = Policy(warm_up_from=NOON.date())
    given_, after = granted(allowance(1_000), 500, policy=policy)

    assert given_.mails == 200
    assert given_.because == "the new domain's mails of today are sent"
    assert granted(after, 500, policy=policy, hours=1)[0].mails == 0
    assert granted(after, 500, policy=policy, days=1)[0].mails == 300
    assert granted(allowance(1_000), 500, policy=policy, days=-1)[0].mails == 0


def test_throttling_slows_down_at_once_and_for_a_while():
    known = after_throttling(allowance(per_second=100), now=NOON)
    assert granted(known, 100)[0].mails == 80
    assert granted(known, 100, seconds=5)[0].mails == 95
    assert granted(known, 100, seconds=10)[0].mails == 100

    # A burst of answers counts once, the next one counts again, and some is left.
    soon = NOON + timedelta(milliseconds=500)
    assert after_throttling(known, now=soon) is known
    for n in range(1, 40):
        known = after_throttling(known, now=NOON + timedelta(seconds=n))
    assert share_of_rate(known, now=known.throttled_at) >= 0.05


def test_a_halt_holds_for_all_and_ends():
    known = after_halt(allowance(), "paused", now=NOON, pause=timedelta(minutes=5))

    assert granted(known, 5)[0] == (0, NOON + timedelta(minutes=5), "paused")
    assert granted(known, 5, minutes=5)[0].mails == 5


@pytest.mark.parametrize(
    ("known", "seconds", "because"),
    [
        (Allowance(), 1, "SES has not said yet what it allows"),
        (
            replace(allowance(), quota=SendingQuota(14, 100, 0, is_enabled=False)),
            30,
            "SES says that sending is disabled",
        ),
    ],
)
def test_nothing_goes_out_where_nothing_is_allowed(known, seconds, because):
    assert granted(known, 5)[0] == (0, NOON + timedelta(seconds=seconds), because)


def test_ses_is_asked_at_first_then_every_half_minute_and_after_a_clock_was_set_back():
    assert needs_asking(Allowance(), now=NOON)
    assert not needs_asking(allowance(), now=NOON + timedelta(seconds=29))
    assert needs_asking(allowance(), now=NOON + timedelta(seconds=30))
    assert needs_asking(allowance(), now=NOON - timedelta(seconds=1))


@pytest.mark.parametrize(("per_second", "asks_per_second"), [(200, 200), (14, 50)])
def test_a_steady_stream_gets_the_rate(per_second, asks_per_second):
    known, got = allowance(per_second), 0
    for n in range(asks_per_second * 20):
        given_, known = granted(known, 1, seconds=n / asks_per_second)
        got += given_.mails

    assert got >= 0.93 * 20 * min(per_second, asks_per_second)


def test_what_was_not_taken_may_go_again():
    _, after = granted(allowance(per_second=1_000, per_day=10), 7)
    again = after_none_taken(after, 4, now=NOON)

    assert granted(again, 10, seconds=5)[0].mails == 7


def test_a_short_halt_does_not_shorten_a_long_one():
    long = after_halt(allowance(), "paused", now=NOON, pause=timedelta(minutes=5))
    both = after_halt(long, "cut off", now=NOON, pause=timedelta(seconds=30))

    assert both is long
