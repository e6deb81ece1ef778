"""Who came back, how, and whether that is a win-back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.values import Episode, Return, SubscriptionSpan
from campaigns.domain.words import EndKind, ReturnKind

_MOVED: Final = (EndKind.UPGRADED, EndKind.MERGED)
"""Ends of subscriptions whose seats went on in another one."""


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
    paid = _payments(episode, subscriptions, definition, now)
    is_used = first_used_at is not None and episode.churned_at <= first_used_at < now
    used = (
        [Return(episode.account, first_used_at, ReturnKind.USED)]
        if is_used and first_used_at and definition.counts != "paid"
        else []
    )
    back = min([*paid, *used], key=_at, default=None)
    if back and merged_at and merged_at - definition.resubscribe_grace <= back.at:
        # Its seats moved here from elsewhere: nobody came back.
        return replace(back, kind=ReturnKind.MERGED)
    new = [each for each in paid if not _goes_on(each.at, subscriptions, definition)]
    return min([*new, *used], key=_at, default=None)


def _payments(
    episode: Episode,
    subscriptions: Sequence[SubscriptionSpan],
    definition: WinBackDefinition,
    now: datetime,
) -> list[Return]:
    if definition.counts == "used":
        return []
    return [
        Return(episode.account, at, _kind_of(at, episode, subscriptions, definition))
        for span in subscriptions
        if not span.plan_is_free and episode.churned_at <= (at := span.started_at) < now
    ]


def _at(back: Return) -> datetime:
    return back.at


def _goes_on(
    at: datetime,
    subscriptions: Sequence[SubscriptionSpan],
    definition: WinBackDefinition,
) -> bool:
    """Say whether a subscription goes on with another one.

    Who fell silent while paying does not come back by an upgrade or by moved seats.
    """
    return any(
        not other.plan_is_free
        and other.started_at < at
        and (
            other.ended_at is None
            or other.ended_at > at
            or (
                other.end_kind in _MOVED
                and other.ended_at >= at - definition.resubscribe_grace
            )
        )
        for other in subscriptions
    )


def _kind_of(
    at: datetime,
    episode: Episode,
    subscriptions: Sequence[SubscriptionSpan],
    definition: WinBackDefinition,
) -> ReturnKind:
    ends = (
        span.ended_at
        for span in subscriptions
        if span.ended_at and not span.plan_is_free and span.ended_at <= at
    )
    last = max([episode.churned_at, *ends])
    if at - last <= definition.resubscribe_grace:
        return ReturnKind.RESUBSCRIBED
    return ReturnKind.PAID


def is_win_back(
    episode: Episode,
    *,
    enrolled_at: datetime,
    window_ends_at: datetime,
    definition: WinBackDefinition,
) -> bool:
    """Say whether `episode` ended in a win-back within the window of an enrolment.

    It may have ended while another definition held, by what is no return by this one.
    """
    if episode.returned_at is None or episode.return_kind is None:
        return False
    is_in_time = enrolled_at <= episode.returned_at < window_ends_at
    return is_in_time and episode.return_kind in definition.win_backs


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
