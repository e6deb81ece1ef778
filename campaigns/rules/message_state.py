"""What a message may become: the only edges there are.

After a kill every mail that was in flight stands in `posting`. It may never be posted
again by itself: whether SES took it is for an event to say (`accepted`) or, if none
comes while events provably flow, for a person (`held`).
"""

from datetime import datetime, timedelta
from typing import Final

from campaigns.domain.words import MessageState

S = MessageState

EDGES: Final[frozenset[tuple[MessageState, MessageState]]] = frozenset(
    {
        (S.PLANNED, S.SKIPPED),  # a final no in the claim
        (S.PLANNED, S.CLAIMED),  # leased by a worker; provably not posted
        (S.PLANNED, S.ACCEPTED),  # an event of an earlier attempt, after its release
        (S.CLAIMED, S.PLANNED),  # the lease ran out, or not now after all
        (S.CLAIMED, S.REFUSED),  # its mail cannot be rendered
        (S.CLAIMED, S.SKIPPED),  # the repeated check said no for good
        (S.CLAIMED, S.POSTING),  # the attempt is committed
        (S.CLAIMED, S.ACCEPTED),  # as from `planned`
        (S.POSTING, S.ACCEPTED),  # SES answered with a message id
        (S.POSTING, S.REFUSED),  # SES said no to this mail for good
        (S.POSTING, S.PLANNED),  # a recorded definite negative: nothing was taken
        (S.POSTING, S.UNKNOWN),  # no clear answer, or found so at start-up
        (S.UNKNOWN, S.ACCEPTED),  # an event with our tag
        (S.UNKNOWN, S.HELD),  # no event although the pipeline is alive
        (S.HELD, S.PLANNED),  # a person released it
        (S.HELD, S.DROPPED),  # a person gave it up
        (S.HELD, S.ACCEPTED),  # an event, however late
        (S.DROPPED, S.ACCEPTED),
    }
)

ENDINGS: Final = frozenset({S.ACCEPTED, S.REFUSED, S.SKIPPED, S.DROPPED})
OPEN: Final = frozenset(S) - ENDINGS
IN_DOUBT: Final = frozenset({S.POSTING, S.UNKNOWN, S.HELD, S.DROPPED})
SETTLED_BY_EVENT: Final = IN_DOUBT | {S.PLANNED, S.CLAIMED}
"""An event may also be of an attempt that a person took for lost, or of the database
that this one is a copy of: it is out, and goes out no more."""
SETTLED_WINDOW: Final = timedelta(minutes=15)


def is_edge(before: MessageState, after: MessageState) -> bool:
    """Say whether a message may go from `before` to `after`."""
    return (before, after) in EDGES


def should_be_held(
    posted_at: datetime,
    *,
    queue_empty_at: datetime | None,
    last_send_mailed_at: datetime | None,
) -> bool:
    """Say whether an unknown message's event would have come by now if there were one.

    Args:
        posted_at: When the message was posted.
        queue_empty_at: When the event queue was last seen empty.
        last_send_mailed_at: When the latest mail was taken whose Send event came.
    """
    if queue_empty_at is None or last_send_mailed_at is None:
        return False
    is_polled_empty = queue_empty_at >= posted_at + SETTLED_WINDOW
    later_send_seen = last_send_mailed_at > posted_at
    return is_polled_empty and later_send_seen


def needs_canary(
    posted_at: datetime,
    *,
    now: datetime,
    last_send_mailed_at: datetime | None,
    canary_posted_at: datetime | None,
) -> bool:
    """Say whether only a canary's event can show that events flow.

    That is so once an unknown message's event is late and no later mail's event came:
    at the end of a campaign there may never be a later mail.

    Args:
        posted_at: When the unknown message was posted.
        now: The time.
        last_send_mailed_at: When the latest mail was taken whose Send event came.
        canary_posted_at: When a canary was last mailed; one in a window is enough.
    """
    is_proved = last_send_mailed_at is not None and last_send_mailed_at > posted_at
    is_late = now >= posted_at + SETTLED_WINDOW
    is_out = canary_posted_at is not None and now < canary_posted_at + SETTLED_WINDOW
    return is_late and not is_proved and not is_out
