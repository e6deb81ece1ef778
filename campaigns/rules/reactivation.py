"""Who came back, how, and whether that is a win-back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.values import Episode, Return, SubscriptionSpan
from campaigns.domain.words import ReturnKind


def find_return(
    episode: Episode,
    *,
    subscriptions: Sequence[SubscriptionSpan],
    first_used_at: datetime | None,
    now: datetime,
    definition: WinBackDefinition,
    merged_at: datetime | None = None,
) -> Return | None:
    """Return how the account of `episode` came back before `now`, or None.

    Args:
        episode: The absence in question.
        subscriptions: Those of the account that ran or began after the churn, and any
            others; free plans do not count.
        first_used_at: The first use after the churn, if there was one.
        now: Nothing at or after this moment is looked at.
        definition: Whether paying, using or either of them is a return.
        merged_at: When another account was first merged into this one since its churn.
    """
    found: list[Return] = []
    if definition.counts in {"paid", "either"}:
        found += [
            Return(episode.account, at, _kind_of_payment(episode, at, definition))
            for span in subscriptions
            if not span.plan_is_free
            and episode.churned_at <= (at := span.started_at) < now
            and not _goes_on(span, subscriptions, episode, definition)
        ]
    if (
        definition.counts in {"used", "either"}
        and first_used_at is not None
        and episode.churned_at <= first_used_at < now
    ):
        found.append(Return(episode.account, first_used_at, ReturnKind.USED))
    back = min(found, key=lambda each: each.at, default=None)
    if back and merged_at and merged_at - definition.resubscribe_grace <= back.at:
        # Its seats moved here from elsewhere: nobody came back.
        return replace(back, kind=ReturnKind.MERGED)
    return back


def _goes_on(
    span: SubscriptionSpan,
    subscriptions: Sequence[SubscriptionSpan],
    episode: Episode,
    definition: WinBackDefinition,
) -> bool:
    """Say whether a subscription goes on with one that still ran after the churn.

    Who fell silent while paying does not come back by a renewal or by moved seats.
    """
    return any(
        not other.plan_is_free
        and other.started_at < span.started_at
        and (
            other.ended_at is None
            or episode.churned_at
            < other.ended_at
            >= span.started_at - definition.resubscribe_grace
        )
        for other in subscriptions
    )


def _kind_of_payment(
    episode: Episode, at: datetime, definition: WinBackDefinition
) -> ReturnKind:
    if at - episode.churned_at <= definition.resubscribe_grace:
        return ReturnKind.RESUBSCRIBED
    return ReturnKind.PAID


def is_win_back(
    episode: Episode, *, enrolled_at: datetime, window_ends_at: datetime
) -> bool:
    """Say whether `episode` ended in a win-back within the window of an enrolment."""
    if episode.returned_at is None or episode.return_kind is None:
        return False
    is_in_time = enrolled_at <= episode.returned_at < window_ends_at
    return is_in_time and episode.return_kind.is_win_back


def is_here(
    subscriptions: Sequence[SubscriptionSpan],
    *,
    has_used: bool,
    at: datetime,
    definition: WinBackDefinition,
) -> bool:
    """Say whether an account that came back is still here at a moment.

    Args:
        subscriptions: All subscriptions of the account; free plans do not count.
        has_used: Whether it used the product in the week up to the moment.
        at: The moment.
        definition: Whether paying, using or either of them counts.
    """
    pays = any(
        not span.plan_is_free
        and span.started_at <= at
        and (span.ended_at is None or at < span.ended_at)
        for span in subscriptions
    )
    return {"paid": pays, "used": has_used, "either": pays or has_used}[
        definition.counts
    ]
