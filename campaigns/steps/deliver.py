"""Deliver what is due: claim, render, one POST each, settle.

The order is what makes it exact. A message is claimed (nothing was posted yet), its
mail is made, its attempt is committed, and only then it is posted, once. A kill before
the commit leaves it planned; a kill after it leaves it to SES's event, not to a guess.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog

from campaigns.clock import Clock
from campaigns.domain.values import (
    ClaimedMessage,
    Email,
    GateFacts,
    Posted,
    SendingQuota,
)
from campaigns.domain.words import MessageState
from campaigns.errors import (
    CampaignHaltedError,
    OutcomeUnknownError,
    RejectedError,
    RenderError,
    RetryLaterError,
    SendError,
    SendingHaltedError,
    TemplateError,
)
from campaigns.rules.eligibility import final_no, not_before
from campaigns.rules.pacing import Pace, after_sending, allowed, free_at
from campaigns.steps.compose import Composer, compose
from campaigns.store import campaigns, gate, messages, records
from campaigns.store.session import Session, Sessions, write_persistently

logger = structlog.get_logger(__name__)

_BATCH: Final = 100
_LEASE: Final = timedelta(minutes=10)
_QUOTA_HOLDS_FOR: Final = timedelta(seconds=30)
_AFTER_THROTTLE: Final = timedelta(seconds=5)
_AFTER_HALT: Final = timedelta(minutes=5)

Executor = Callable[[Callable[["Ready"], Posted], Sequence["Ready"]], Iterable[Posted]]
"""Applies a function to each of some mails: serially, or in threads."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A mail whose attempt is committed: it may be posted, once."""

    message: int
    attempt: int
    email: Email


@dataclass(slots=True)
class Desk:
    """What a sender works with.

    Attributes:
        sessions: The database.
        send: Posts one mail and returns SES's id; raises a SendError.
        quota: Asks SES what it allows.
        composer: Makes mails.
        execute: How mails are posted: serially in simulation, in threads otherwise.
        senders: How many are posted at the same time.
        clock: The time.
        sleep: Waits so many seconds.
        worker: This process's name, for leases.
        remember: Is told the latest attempt before it is posted; kept elsewhere than
            the database, it tells a restored copy from the original.
        default_time_zone: For contacts and accounts without one.
    """

    sessions: Sessions
    send: Callable[[Email], str]
    quota: Callable[[], SendingQuota]
    composer: Composer
    execute: Executor
    senders: int
    clock: Clock
    sleep: Callable[[float], None]
    worker: str
    remember: Callable[[int], None]
    default_time_zone: str
    _pace: Pace = field(default_factory=Pace, init=False)
    _quota: tuple[datetime, SendingQuota] | None = field(default=None, init=False)

    def allowance(self, now: datetime) -> tuple[int, SendingQuota]:
        """Return how many mails may go out now, and what SES allows."""
        if self._quota is None or now - self._quota[0] >= _QUOTA_HOLDS_FOR:
            self._quota = (now, self.quota())
        quota = self._quota[1]
        if not quota.is_enabled:
            return 0, quota
        now_free = allowed(self._pace, now=now, per_second=quota.max_per_second)
        return min(now_free, quota.left_today), quota

    def spend(self, mails: int, now: datetime) -> None:
        """Take `mails` off what may go out."""
        if self._quota is None:
            return
        asked_at, quota = self._quota
        per_second = quota.max_per_second
        self._pace = after_sending(self._pace, mails, now=now, per_second=per_second)
        sent = quota.sent_last_day + mails
        self._quota = (asked_at, replace(quota, sent_last_day=sent))

    def next_at(self, quota: SendingQuota, now: datetime) -> datetime:
        """Return when there may be something to send again."""
        free = free_at(self._pace, per_second=quota.max_per_second)
        if free is None or not quota.left_today or not quota.is_enabled:
            return now + _AFTER_HALT
        return free


@dataclass(slots=True)
class DeliverResult:
    """What became of the messages looked at.

    Attributes:
        endings: How many went into which state.
        halted: Why sending stopped, if it did.
        again_at: When more may be sent; None if nothing is waiting for it.
    """

    endings: Counter[str] = field(default_factory=Counter)
    halted: str | None = None
    again_at: datetime | None = None


def deliver(desk: Desk) -> DeliverResult:
    """Send what is due now, as much as SES allows at once."""
    result = DeliverResult()
    now = desk.clock()
    with desk.sessions.begin() as session:
        messages.expire_leases(session, now=now)
    due_at = next_due_at(desk)
    if due_at is None or due_at > now:
        return result
    try:
        left, quota = desk.allowance(now)
    except SendError as error:
        result.halted, result.again_at = str(error), now + _AFTER_HALT
        return result
    while left > 0 and result.halted is None:
        claimed = _claim(desk, min(left, _BATCH), result)
        if not claimed:
            break
        left -= len(claimed)
        desk.spend(len(claimed), now)
        _send_all(desk, claimed, result)
    if left <= 0 or result.halted:
        result.again_at = desk.next_at(quota, now)
    if result.endings or result.halted:
        logger.info("delivered", halted=result.halted, **result.endings)
    return result


def _claim(desk: Desk, limit: int, result: DeliverResult) -> list[ClaimedMessage]:
    """Lease due messages that nothing forbids; end or postpone the others."""
    while True:
        now = desk.clock()
        with desk.sessions.begin() as session:
            due = messages.due(session, now=now, limit=limit)
            if not due:
                return []
            claimed = [
                facts.message
                for facts in _gate_facts(desk, session, due, now)
                if _claim_one(desk, session, facts, now, result)
            ]
            if claimed:
                return messages.read_claimed(session, claimed)


def _gate_facts(
    desk: Desk, session: Session, due: Sequence[int], now: datetime
) -> list[GateFacts]:
    return messages.gate_facts(
        session, due, default_zone=desk.default_time_zone, now=now
    )


def _claim_one(
    desk: Desk,
    session: Session,
    facts: GateFacts,
    now: datetime,
    result: DeliverResult,
) -> bool:
    no = final_no(facts, now=now)
    if no is not None:
        planned, skipped = MessageState.PLANNED, MessageState.SKIPPED
        messages.move(
            session, facts.message, planned, skipped, reason=no, settled_at=now
        )
        result.endings[skipped] += 1
        return False
    wait_until = not_before(facts, now=now)
    if wait_until is not None:
        messages.postpone(session, facts.message, until=wait_until)
        return False
    return messages.claim(
        session, facts.message, worker=desk.worker, until=now + _LEASE
    )


def _send_all(
    desk: Desk, claimed: Sequence[ClaimedMessage], result: DeliverResult
) -> None:
    """Render claimed messages and post them, as many at a time as there are senders."""
    mails = _render(desk, claimed, result)
    waiting = iter(mails)
    while group := list(islice(waiting, desk.senders)):
        if result.halted is not None:
            _give_back(desk, [message for message, _ in [*group, *waiting]])
            return
        ready = _begin_posting(desk, group, result)
        posted = list(desk.execute(lambda mail: _post(desk, mail), ready))
        _settle(desk, posted, result)


def _render(
    desk: Desk, claimed: Sequence[ClaimedMessage], result: DeliverResult
) -> list[tuple[int, Email]]:
    """Return the mails of claimed messages; one that cannot be made is refused."""
    now = desk.clock()
    with desk.sessions.begin() as session:
        releases = records.releases_before(session, now)
    mails: list[tuple[int, Email]] = []
    refused: list[tuple[int, str]] = []
    for message in claimed:
        try:
            email = compose(desk.composer, message, releases=releases, now=now)
        except (RenderError, TemplateError) as error:
            refused.append((message.id, str(error)[:500]))
        else:
            mails.append((message.id, email))
    if refused:
        with desk.sessions.begin() as session:
            for message_id, reason in refused:
                before, after = MessageState.CLAIMED, MessageState.REFUSED
                messages.move(
                    session, message_id, before, after, reason=reason, settled_at=now
                )
        result.endings[MessageState.REFUSED] += len(refused)
    return mails


def _begin_posting(
    desk: Desk, group: Sequence[tuple[int, Email]], result: DeliverResult
) -> list[Ready]:
    """Repeat every check and commit the attempts of a group, in one transaction."""
    now = desk.clock()
    emails = dict(group)
    ready: list[Ready] = []
    admitted: Counter[str] = Counter()
    with desk.sessions.begin() as session:
        gate.before_posting(session)
        for read in _gate_facts(desk, session, list(emails), now):
            today = read.mails_today + admitted[read.campaign]
            facts = replace(read, mails_today=today)
            if not _still_may(session, facts, now, result):
                continue
            attempt = messages.begin_attempt(
                session, facts.message, worker=desk.worker, now=now
            )
            if attempt is not None:
                admitted[facts.campaign] += 1
                ready.append(Ready(facts.message, attempt, emails[facts.message]))
    if ready:
        desk.remember(max(each.attempt for each in ready))
    return ready


def _still_may(
    session: Session, facts: GateFacts, now: datetime, result: DeliverResult
) -> bool:
    claimed = MessageState.CLAIMED
    no = final_no(facts, now=now)
    if no is not None:
        skipped = MessageState.SKIPPED
        messages.move(
            session, facts.message, claimed, skipped, reason=no, settled_at=now
        )
        result.endings[skipped] += 1
        return False
    wait_until = not_before(facts, now=now)
    if wait_until is not None:
        planned = MessageState.PLANNED
        messages.move(session, facts.message, claimed, planned, due_at=wait_until)
        return False
    return True


def _post(desk: Desk, mail: Ready) -> Posted:
    """Post one mail, once, and say what became of it."""
    try:
        ses_message_id = desk.send(mail.email)
    except SendError as error:
        return _after_error(mail, error, now=desk.clock())
    except Exception as error:  # whatever it was, the mail may have been taken
        logger.exception("post_failed", message=mail.message)
        doubt = OutcomeUnknownError(type(error).__name__)
        return _after_error(mail, doubt, now=desk.clock())
    state = MessageState.ACCEPTED
    return Posted(mail.message, mail.attempt, state, ses_message_id=ses_message_id)


def _after_error(mail: Ready, error: SendError, *, now: datetime) -> Posted:
    reason = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, RejectedError):
        return Posted(mail.message, mail.attempt, MessageState.REFUSED, reason=reason)
    if isinstance(error, (RetryLaterError, CampaignHaltedError, SendingHaltedError)):
        throttled = isinstance(error, RetryLaterError)
        return Posted(
            mail.message,
            mail.attempt,
            MessageState.PLANNED,
            reason=reason,
            not_before=now + (_AFTER_THROTTLE if throttled else _AFTER_HALT),
            halts=isinstance(error, SendingHaltedError),
            pauses=isinstance(error, CampaignHaltedError),
        )
    return Posted(mail.message, mail.attempt, MessageState.UNKNOWN, reason=reason)


def _settle(desk: Desk, posted: Sequence[Posted], result: DeliverResult) -> None:
    now = desk.clock()

    def write(session: Session) -> None:
        for each in posted:
            messages.settle(session, each, now=now)
            if each.pauses and each.reason:
                campaigns.pause_of(session, each.message, now=now, because=each.reason)

    write_persistently(desk.sessions, write, sleep=desk.sleep)
    result.endings.update(each.state for each in posted)
    result.halted = next((each.reason for each in posted if each.halts), None)


def _give_back(desk: Desk, claimed: Sequence[int]) -> None:
    """Let claimed messages that will not be posted now be planned again."""
    claimed_, planned = MessageState.CLAIMED, MessageState.PLANNED
    later = desk.clock() + _AFTER_HALT
    with desk.sessions.begin() as session:
        for message in claimed:
            messages.move(session, message, claimed_, planned, due_at=later)


def next_due_at(desk: Desk) -> datetime | None:
    """Return when the next message falls due."""
    with desk.sessions.begin() as session:
        return messages.next_due_at(session)


def finish(desk: Desk) -> list[str]:
    """Finish campaigns that have nothing left to do; return their names."""
    with desk.sessions.begin() as session:
        return campaigns.finish_done(session)
