"""Who came back, how, and whether that is a win-back."""

from collections.abc import Sequence
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
) -> Return | None:
    """Return how the account of `episode` came back before `now`, or None.

    Args:
        episode: The absence in question.
        subscriptions: All subscriptions of the account; free plans do not count.
        first_used_at: The first use after the churn, if there was one.
        now: Nothing at or after this moment is looked at.
        definition: Whether paying, using or either of them is a return.
    """
    found: list[Return] = []
    if definition.counts in {"paid", "either"}:
        found += [
            Return(episode.account, at, _kind_of_payment(episode, at, definition))
            for span in subscriptions
            if not span.plan_is_free
            and episode.churned_at <= (at := span.started_at) < now
        ]
    if (
        definition.counts in {"used", "either"}
        and first_used_at is not None
        and episode.churned_at <= first_used_at < now
    ):
        found.append(Return(episode.account, first_used_at, ReturnKind.USED))
    return min(found, key=lambda each: each.at, default=None)


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
    if episode.returned_at is None or episode.return_kind == ReturnKind.RESUBSCRIBED:
        return False
    return enrolled_at <= episode.returned_at < window_ends_at
