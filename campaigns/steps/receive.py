"""Receive SES's events: keep each once, tell its message, suppress who must be."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from campaigns.clock import Clock
from campaigns.domain.values import Email, ProviderEvent, ReceivedEvent
from campaigns.domain.words import Bounce, EventKind, SuppressionReason
from campaigns.errors import SendError
from campaigns.rules.delivery import is_worn_out, suppression_after
from campaigns.rules.guardrails import reason_to_pause
from campaigns.rules.message_state import needs_canary, should_be_held
from campaigns.steps import canary
from campaigns.store import (
    campaigns,
    doubts,
    events,
    instance,
    rollout,
    suppressions,
)
from campaigns.store.events import KnownEvent
from campaigns.store.session import OperationalError, Session, Sessions

logger = structlog.get_logger(__name__)

_MOST_ROUNDS: Final = 2_000
_GUARD_EVERY: Final = 20
"""Batches of events between two looks at the guard-rails."""


class Post(NamedTuple):
    """What a receiver works with.

    Attributes:
        sessions: The database.
        receive: Returns events that wait; none is no proof that none is there.
        waiting: Says how many are in the queue, hidden ones too.
        delete: Removes events from the queue.
        send: Posts a canary; raises a SendError.
        clock: The time.
    """

    sessions: Sessions
    receive: Callable[[], list[ReceivedEvent]]
    waiting: Callable[[], int]
    delete: Callable[[list[ReceivedEvent]], None]
    send: Callable[[Email], str]
    clock: Clock


@dataclass(slots=True)
class ReceiveResult:
    """What came in.

    Attributes:
        kinds: How many new events of which kind.
        repeated: How many had come before.
        parked: How many could not be taken, and are kept as they came.
        held: Messages that are now held, because their event did not come.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    parked: int = 0
    held: int = 0


def receive(post: Post) -> ReceiveResult:
    """Empty the queue, then hold messages whose event should have come by now.

    Raises:
        RetryLaterError: The queue did not answer; nothing of it is lost.
    """
    result = ReceiveResult()
    for number in range(_MOST_ROUNDS):
        received = post.receive()
        if not received:
            guard(post.sessions, now=post.clock())
            # What a killed receiver took stays hidden for a while, and comes again.
            if not post.waiting():
                _after_empty_queue(post, result)
            break
        kept = keep(post.sessions, received, now=post.clock())
        result.repeated += kept.repeated
        result.parked += kept.parked
        result.kinds += kept.kinds
        # Only what is committed may leave the queue.
        post.delete(received)
        if number % _GUARD_EVERY == 0:
            guard(post.sessions, now=post.clock())
    if result.kinds or result.held:
        logger.info(
            "received",
            repeated=result.repeated,
            parked=result.parked,
            held=result.held,
            **result.kinds,
        )
    return result


def keep(
    sessions: Sessions, received: Sequence[ReceivedEvent], *, now: datetime
) -> ReceiveResult:
    """Commit events; where one cannot be taken, the others are, one by one.

    Raises:
        OperationalError: The database is away; none of them was lost.
    """
    result = ReceiveResult()
    try:
        with sessions.begin() as session:
            result.kinds = take(session, received, now)
    except OperationalError:
        raise
    except Exception:
        logger.exception("events_not_taken", count=len(received))
        if len(received) == 1:
            with sessions.begin() as session:
                events.park(session, received[0], now=now)
            result.parked = 1
            return result
        for each in received:
            of_one = keep(sessions, [each], now=now)
            result.kinds += of_one.kinds
            result.repeated += of_one.repeated
            result.parked += of_one.parked
        return result
    result.repeated = len(received) - result.kinds.total()
    return result


def take(
    session: Session, received: Sequence[ReceivedEvent], now: datetime
) -> Counter[str]:
    """Keep events, and let messages and the list of suppressed addresses know.

    Returns:
        How many new ones there are of which kind.
    """
    name = instance.name(session)
    new, count = events.keep(session, received, instance=name, now=now)
    events.apply(session, new, now=now)
    sent_at = [
        event.mail_at
        for event, message, _ in new
        if canary.is_back(event, instance=name)
        or (message is not None and event.kind is EventKind.SEND)
    ]
    for each in new:
        _suppress(session, each, now)
        if each.event.kind is EventKind.REJECT and each.message is not None:
            because = "SES rejected a mail: it found a virus in what it carries"
            campaigns.pause_of(session, each.message, now=now, because=because)
    # After the gate's lock, as by the guard: in another order they could block.
    if sent_at:
        instance.saw_send_event(session, mailed_at=max(sent_at))
    kinds = Counter(str(each.event.kind or "not_understood") for each in new)
    return kinds + Counter({"not_understood": count - len(new)})


def _suppress(session: Session, known: KnownEvent, now: datetime) -> None:
    """Suppress the address that an event is about, if it must be."""
    event, message, recipient = known
    if recipient is None or (message is None and recipient.address_hash is None):
        return
    reason = suppression_after(event)
    if message is not None and _is_worn_out(session, event, message):
        reason = SuppressionReason.SOFT_BOUNCES
    if reason is None:
        return
    is_new = suppressions.suppress_recipient(session, recipient, reason, now=now)
    if is_new and reason is SuppressionReason.ON_SES_LIST:
        # Its list and ours have drifted apart: somebody else may have been told no.
        logger.error("suppressed_by_ses_only", message=message)


def _is_worn_out(session: Session, event: ProviderEvent, message: int) -> bool:
    return event.bounce is Bounce.SOFT and is_worn_out(events.tries(session, message))


def guard(sessions: Sessions, *, now: datetime) -> list[str]:
    """Pause running campaigns that bounce or annoy too much; return their names.

    The others may post more, by what is known of what they posted.
    """
    paused = []
    with sessions.begin() as session:
        rollout.roll_out(session, now=now)
    # Another transaction: to pause waits for those who hold the rolled-out rows.
    with sessions.begin() as session:
        for name, feedback in rollout.feedback(session).items():
            because = reason_to_pause(feedback)
            if because is not None:
                campaigns.pause(session, name, now=now, because=because)
                logger.error("campaign_paused", campaign=name, because=because)
                paused.append(name)
    return paused


def _after_empty_queue(post: Post, result: ReceiveResult) -> None:
    now = post.clock()
    with post.sessions.begin() as session:
        instance.saw_empty_queue(session, now=now)
        pulse = instance.pulse(session)
        open_ones = doubts.unknown(session)
        for message, posted_at in open_ones:
            if should_be_held(
                posted_at,
                queue_empty_at=pulse.queue_empty_at,
                last_send_mailed_at=pulse.last_send_mailed_at,
            ):
                result.held += doubts.hold_unknown(session, message, now=now)
    latest = max((posted_at for _, posted_at in open_ones), default=None)
    if latest is not None and needs_canary(
        latest,
        now=now,
        last_send_mailed_at=pulse.last_send_mailed_at,
        canary_posted_at=pulse.canary_posted_at,
    ):
        _post_canary(post, now)


def _post_canary(post: Post, now: datetime) -> None:
    with post.sessions.begin() as session:
        instance.post_canary(session, now=now)
        name = instance.name(session)
    try:
        post.send(canary.email(name))
    except SendError as error:
        logger.warning("canary_not_sent", error=str(error))
    else:
        logger.info("canary_sent")
