from datetime import timedelta

import pytest

from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.values import Episode, SubscriptionSpan
from campaigns.domain.words import EndKind, ReturnKind
from campaigns.rules.reactivation import find_return, is_win_back
from tests.factories import at

LEFT = at("2026-01-01")
EPISODE = Episode(1, "acc-1", 1, LEFT)


def definition(counts="either", window=30, grace=3):
    days = timedelta(days=window), timedelta(days=grace)
    return WinBackDefinition("test", counts, *days)


def found(*, paid=None, used=None, now="2026-03-01", counts="either", **span):
    spans = [SubscriptionSpan(at(paid), **span)] if paid else []
    return find_return(
        EPISODE,
        subscriptions=spans,
        first_used_at=at(used) if used else None,
        now=at(now),
        definition=definition(counts),
    )


def test_a_new_paid_subscription_is_a_return():
    back = found(paid="2026-02-01")

    assert (back.at, back.kind) == (at("2026-02-01"), ReturnKind.PAID)


def test_a_free_plan_is_none():
    assert found(paid="2026-02-01", plan_is_free=True) is None


def test_the_earlier_of_paying_and_using_counts():
    assert found(paid="2026-02-02", used="2026-02-01").kind is ReturnKind.USED


@pytest.mark.parametrize(
    ("ran_until", "end_kind", "kind"),
    [
        (None, None, None),  # seats were added, or a plan was issued anew
        ("2026-02-10", None, None),  # likewise, and the old plan runs out
        ("2026-02-01", EndKind.UPGRADED, None),
        ("2026-01-30", EndKind.MERGED, None),  # within the grace
        ("2026-01-30", EndKind.VOLUNTARY, ReturnKind.RESUBSCRIBED),
        ("2026-01-28", EndKind.UPGRADED, ReturnKind.PAID),
        ("2026-01-28", EndKind.VOLUNTARY, ReturnKind.PAID),  # given up, and back
        ("2026-01-01", EndKind.VOLUNTARY, ReturnKind.PAID),  # as most do
    ],
)
def test_who_fell_silent_while_paying_does_not_come_back_by_paying_on(
    ran_until, end_kind, kind
):
    ended_at = at(ran_until) if ran_until else None
    ran = SubscriptionSpan(at("2025-06-01"), ended_at, end_kind)
    free = SubscriptionSpan(at("2025-06-01"), plan_is_free=True)
    new, later = (SubscriptionSpan(at(day)) for day in ("2026-02-01", "2026-02-20"))
    asked = {"first_used_at": None, "now": at("2026-03-01")}
    back = find_return(
        EPISODE,
        subscriptions=[ran, free, new, later],
        definition=definition(),
        **asked,
    )
    assert (back.kind if back else None) == kind

    merged = find_return(
        EPISODE,
        subscriptions=[ran, free, new, later],
        definition=definition(),
        merged_at=at("2026-02-01"),
        **asked,
    )
    assert merged.kind is ReturnKind.MERGED


@pytest.mark.parametrize(("counts", "kind"), [("paid", None), ("used", "used")])
def test_only_what_the_definition_counts_is_a_return(counts, kind):
    back = found(used="2026-02-01", counts=counts)

    assert (back.kind if back else None) == kind


def test_nothing_at_or_after_now_is_seen():
    assert found(paid="2026-03-01", now="2026-03-01") is None


def test_a_subscription_in_the_grace_continues_the_old_one():
    assert found(paid="2026-01-03").kind is ReturnKind.RESUBSCRIBED


@pytest.mark.parametrize(
    ("returned", "kind", "counts", "won"),
    [
        ("2026-02-01", ReturnKind.PAID, "either", True),
        ("2026-03-02", ReturnKind.PAID, "either", True),
        ("2026-03-03", ReturnKind.PAID, "either", False),
        ("2026-01-31", ReturnKind.PAID, "either", False),
        ("2026-02-01", ReturnKind.RESUBSCRIBED, "either", False),
        ("2026-02-01", ReturnKind.USED, "either", True),
        # What ended the absence while something else counted.
        ("2026-02-01", ReturnKind.USED, "paid", False),
        ("2026-02-01", ReturnKind.PAID, "used", False),
        (None, None, "either", False),
    ],
)
def test_a_win_back_lies_in_the_window_of_its_enrolment(returned, kind, counts, won):
    episode = Episode(1, "acc-1", 1, LEFT, at(returned) if returned else None, kind)

    assert won == is_win_back(
        episode,
        enrolled_at=at("2026-02-01"),
        window_ends_at=at("2026-03-03"),
        definition=definition(counts),
    )
