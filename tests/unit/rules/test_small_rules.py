"""Rules of a few lines: states, deliveries, confidence, pacing, content."""

from datetime import date, timedelta
from itertools import permutations

import pytest

from campaigns.domain.values import ReleaseNote
from campaigns.domain.words import Bounce, Delivery, EventKind, MessageState
from campaigns.rules.confidence import segment_or_general
from campaigns.rules.content import since_you_left
from campaigns.rules.delivery import (
    Try,
    delivery_after,
    is_worn_out,
    suppression_after,
)
from campaigns.rules.message_state import EDGES, ENDINGS, is_edge, should_be_held
from tests.factories import NOON, at, provider_event

S = MessageState


def test_no_edge_leads_back_from_what_may_have_been_posted():
    assert not is_edge(S.UNKNOWN, S.PLANNED)
    assert not is_edge(S.ACCEPTED, S.PLANNED)
    assert {after for before, after in EDGES if before is S.UNKNOWN} == {
        S.ACCEPTED,
        S.HELD,
    }


def test_an_ending_is_left_only_by_an_event():
    left = {edge for edge in EDGES if edge[0] in ENDINGS}

    assert left == {(S.DROPPED, S.ACCEPTED)}


def test_every_state_can_be_reached():
    assert {after for _, after in EDGES} | {S.PLANNED} == set(S)


WINDOW = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("empty_after", "send_after", "held"),
    [
        (WINDOW, timedelta(minutes=1), True),
        (WINDOW - timedelta(seconds=1), timedelta(minutes=1), False),
        (None, timedelta(minutes=1), False),
        (WINDOW, None, False),
        (WINDOW, timedelta(0), False),
    ],
)
def test_a_message_is_held_only_while_events_provably_flow(
    empty_after, send_after, held
):
    assert held == should_be_held(
        NOON,
        queue_empty_at=None if empty_after is None else NOON + empty_after,
        last_send_mailed_at=None if send_after is None else NOON + send_after,
    )


KINDS = [EventKind.SEND, EventKind.BOUNCE, EventKind.DELIVERY, EventKind.COMPLAINT]


def test_events_in_any_order_and_number_end_the_same():
    for order in permutations([*KINDS, EventKind.OPEN, EventKind.SEND]):
        delivery = Delivery.NONE
        for kind in order:
            delivery = delivery_after(delivery, provider_event(kind))
        assert delivery is Delivery.COMPLAINED


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({}, Delivery.COMPLAINED),
        ({"is_approval": True}, Delivery.SENT),
        ({"bounce": Bounce.ON_SES_LIST}, Delivery.BOUNCED),
    ],
)
def test_a_complaint_is_one_only_about_a_mail_that_went_out(changes, after):
    event = provider_event(EventKind.COMPLAINT, **changes)
    assert delivery_after(Delivery.SENT, event) is after


@pytest.mark.parametrize(
    ("kind", "bounce", "reason"),
    [
        (EventKind.COMPLAINT, None, "complaint"),
        (EventKind.BOUNCE, Bounce.HARD, "hard_bounce"),
        (EventKind.BOUNCE, Bounce.ON_SES_LIST, "on_ses_list"),
        (EventKind.BOUNCE, Bounce.SOFT, None),
        (EventKind.OPEN, None, None),
    ],
)
def test_hard_bounces_and_complaints_suppress(kind, bounce, reason):
    assert suppression_after(provider_event(kind, bounce=bounce)) == reason


def tries(*days, arrived_on=None):
    """A soft bounce of another message on each day, and one mail that arrived."""
    found = [
        Try(NOON + timedelta(days=day), number, arrived=False)
        for number, day in enumerate(days)
    ]
    if arrived_on is not None:
        found.append(Try(NOON + timedelta(days=arrived_on), 99, arrived=True))
    return found


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (tries(0, 10, 20, 30, 40), True),
        (tries(0, 10, 20, 30), False),
        (tries(0, 10, 20, 30, 61), False),
        (tries(0, 10, 20, 30, 59), True),
        (tries(0, 10, 20, 30, 40, arrived_on=25), False),
        (tries(0, 10, 20, 30, 40, arrived_on=45), True),
        (tries(0, 10, 20, 30, 40, 50, 55, arrived_on=15), True),
        (tries(0, 0, 0, 0) * 3, False),
    ],
)
def test_five_soft_bounces_in_sixty_days_wear_an_address_out(history, expected):
    assert is_worn_out(history) is expected
    assert is_worn_out(reversed(history * 2)) is expected


@pytest.mark.parametrize(
    ("chances", "segment"),
    [
        ({"a": 0.8, "b": 0.2}, "a"),
        ({"a": 0.49, "b": 0.21, "c": 0.3}, "general"),
        ({"a": 0.55, "b": 0.45}, "general"),
        ({"a": 1.0}, "a"),
        ({}, "general"),
    ],
)
def test_an_unclear_segment_gets_the_general_mail(chances, segment):
    assert segment_or_general(chances) == segment


def release(day, *tags):
    return ReleaseNote(date.fromisoformat(day), f"of {day}", "text", tags, None)


def test_a_mail_tells_what_changed_since_and_touches_what_was_used():
    releases = [
        release("2025-12-20", "integration.slack"),
        release("2025-12-21", "api.v1"),
        release("2025-11-01", "integration.slack"),
        release("2026-01-06", "integration.slack"),
        release("2026-01-02", "integration.slack", "api.v1"),
    ]

    told = since_you_left(
        releases, left_at=at("2025-12-01"), features={"integration.slack"}, now=NOON
    )

    assert [each.date.isoformat() for each in told] == ["2026-01-02", "2025-12-20"]


def test_what_failed_is_told_first_and_never_more_than_three():
    releases = [release(f"2025-12-1{day}", "api.v1") for day in range(4)]
    mended = release("2025-12-05", "integration.slack")

    told = since_you_left(
        [*releases, mended],
        left_at=at("2025-12-01"),
        features={"api.v1", "integration.slack"},
        failed="integration.slack",
        now=NOON,
    )

    assert [told[0], len(told)] == [mended, 3]
