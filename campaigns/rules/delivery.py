"""What SES's events make of a message, in whatever order and number they come.

The order of precedence is Amazon's own for a message's last delivery event:
Send < Bounce < Delivery < Complaint.
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_EventDetails.html
"""

from typing import Final

from campaigns.domain.values import ProviderEvent
from campaigns.domain.words import Delivery, EventKind, SuppressionReason

_RANK: Final = tuple(Delivery)  # declared in the order of precedence

_SAYS: Final = {
    EventKind.SEND: Delivery.SENT,
    EventKind.BOUNCE: Delivery.BOUNCED,
    EventKind.DELIVERY: Delivery.DELIVERED,
    EventKind.COMPLAINT: Delivery.COMPLAINED,
}

PROVES_ACCEPTANCE: Final = frozenset(_SAYS)
"""Events that only a mail SES took can have."""


def delivery_after(delivery: Delivery, kind: EventKind) -> Delivery:
    """Return what is known of a message once an event of `kind` came.

    >>> delivery_after(Delivery.DELIVERED, EventKind.SEND)
    <Delivery.DELIVERED: 'delivered'>
    """
    said = _SAYS.get(kind, Delivery.NONE)
    return max(delivery, said, key=_RANK.index)


def suppression_after(event: ProviderEvent) -> SuppressionReason | None:
    """Return why the recipients of `event` may not be written to again, or None."""
    if event.kind is EventKind.COMPLAINT:
        return SuppressionReason.COMPLAINT
    if event.kind is EventKind.BOUNCE and event.is_hard_bounce:
        return SuppressionReason.HARD_BOUNCE
    return None
