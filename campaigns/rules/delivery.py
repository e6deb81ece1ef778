"""What SES's events make of a message, in whatever order and number they come.

The order of precedence is Amazon's own for a message's last delivery event:
Send < Bounce < Delivery < Complaint.
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_EventDetails.html
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from campaigns.domain.values import ProviderEvent
from campaigns.domain.words import Bounce, Delivery, EventKind, SuppressionReason

_MOST_SOFT_BOUNCES: Final = 5
_SOFT_BOUNCES_WITHIN: Final = timedelta(days=60)

_RANK: Final = tuple(Delivery)  # declared in the order of precedence

_SAYS: Final = {
    EventKind.SEND: Delivery.SENT,
    EventKind.BOUNCE: Delivery.BOUNCED,
    EventKind.DELIVERY: Delivery.DELIVERED,
    EventKind.COMPLAINT: Delivery.COMPLAINED,
}

PROVES_ACCEPTANCE: Final = frozenset(_SAYS)
"""Events that only a mail SES took can have."""


def delivery_after(delivery: Delivery, event: ProviderEvent) -> Delivery:
    """Return what is known of a message once an event came; it never goes back.

    A complaint about a mail that SES did not send is a bounce, and one that says that
    it is no spam is none.
    """
    kind = EventKind.BOUNCE if event.bounce else event.kind
    if kind is None or event.is_approval:
        return delivery
    return max(delivery, _SAYS.get(kind, Delivery.NONE), key=_RANK.index)


def suppression_after(event: ProviderEvent) -> SuppressionReason | None:
    """Return why the recipients of `event` may not be written to again, or None."""
    if event.bounce:
        return _FOR_GOOD.get(event.bounce)
    is_no = event.kind is EventKind.COMPLAINT and not event.is_approval
    return SuppressionReason.COMPLAINT if is_no else None


_FOR_GOOD: Final = {
    Bounce.HARD: SuppressionReason.HARD_BOUNCE,
    Bounce.ON_SES_LIST: SuppressionReason.ON_SES_LIST,
}


class Try(NamedTuple):
    """A mail to an address that bounced softly, or arrived.

    Attributes:
        at: When, by SES's own time.
        message: Which.
        arrived: Whether it did.
    """

    at: datetime
    message: int
    arrived: bool


def is_worn_out(tries: Iterable[Try]) -> bool:
    """Say whether an address bounced softly too often to be tried again.

    That is five different messages within 60 days, and none that arrived between them.
    The order they are given in does not matter, nor how often each.
    """
    bounced: dict[int, datetime] = {}
    for each in sorted(set(tries)):
        if each.arrived:
            bounced.clear()
            continue
        bounced.setdefault(each.message, each.at)
        recent = [at for at in bounced.values() if at > each.at - _SOFT_BOUNCES_WITHIN]
        if len(recent) >= _MOST_SOFT_BOUNCES:
            return True
    return False
