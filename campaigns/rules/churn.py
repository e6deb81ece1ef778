"""Who churned, and when, as of a date."""

from collections.abc import Sequence
from datetime import datetime

from campaigns.domain.definitions import ChurnDefinition
from campaigns.domain.values import AccountActivity, SubscriptionSpan
from campaigns.domain.words import EndKind


def find_churn(
    activity: AccountActivity, *, as_of: datetime, definition: ChurnDefinition
) -> datetime | None:
    """Return when the account churned, or None if it has not.

    Only what lies before `as_of` counts: a subscription that ends later still runs.
    An account whose last subscription ended by dunning or merger did not churn,
    however silent it is since. Where both rules hold, the earlier moment is taken.
    """
    begun = [s for s in activity.subscriptions if s.started_at < as_of]
    last = _last_ended(begun, as_of)
    if last and last.end_kind in {EndKind.DUNNING, EndKind.MERGED}:
        return None
    moments = (
        _end_of_last(last) if definition.by_subscription else None,
        _end_of_silence(activity, as_of=as_of, definition=definition),
    )
    return min((moment for moment in moments if moment), default=None)


def _last_ended(
    begun: Sequence[SubscriptionSpan], as_of: datetime
) -> SubscriptionSpan | None:
    """Return the paid subscription that ended last, or None while one still runs."""
    paid = [s for s in begun if not s.plan_is_free]
    if any(s.ended_at is None or s.ended_at >= as_of for s in paid):
        return None
    return max(paid, key=lambda s: s.ended_at or s.started_at, default=None)


def _end_of_last(last: SubscriptionSpan | None) -> datetime | None:
    if last is None or last.end_kind == EndKind.UPGRADED:
        return None
    return last.ended_at


def _end_of_silence(
    activity: AccountActivity, *, as_of: datetime, definition: ChurnDefinition
) -> datetime | None:
    if definition.silent_for is None or activity.last_used_at is None:
        return None
    silent_since = activity.last_used_at + definition.silent_for
    return silent_since if silent_since <= as_of else None
