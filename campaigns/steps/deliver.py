"""Deliver what is due: claim, render, one POST each, settle.

The order is what makes it exact. A message is claimed (nothing was posted yet), its
mail is made, its attempt is committed, and only then it is posted, once. A kill before
the commit leaves it planned; a kill after it leaves it to SES's event, not to a guess.

Attempts are committed in groups, and in the same transaction the answers are recorded
that came meanwhile. So that no sender waits for a commit, a few mails are committed
ahead, as many as were answered last; one that no sender takes up within a second is
planned again, for a no may have come.
"""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from campaigns.domain.values import ClaimedMessage, Posted
from campaigns.domain.words import MessageState
from campaigns.errors import RenderError
from campaigns.rules.pacing import QUOTA_HOLDS_FOR
from campaigns.steps import admission, posting
from campaigns.steps.compose import compose_all
from campaigns.steps.desk import Desk
from campaigns.store import (
    allowance,
    attempts,
    campaigns,
    instance,
    messages,
    records,
)
from campaigns.store.session import Session, write_persistently

logger = structlog.get_logger(__name__)

_BATCH: Final = 400
_GATHER_SECONDS: Final = 0.02
"""How long more answers are waited for while senders have mails in hand."""
_LOOKS_WIDE: Final = 500
_UNMADE_IN_A_ROW: Final = 10


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
    """Send what is due now, as much as SES allows."""
    now = desk.clock()
    with desk.sessions.begin() as session:
        messages.expire_leases(session, now=now)
        # Nothing of ours is in flight now: what an earlier run left is put right.
        attempts.sweep(session, desk.worker, now=now)
    due_at = next_due_at(desk)
    if due_at is None or due_at > now:
        return DeliverResult()
    return _Delivery(desk).run()


class _Delivery:
    """One run: mails that wait for a sender, and those that are in flight."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._result = DeliverResult()
        self._waiting: deque[posting.Mail] = deque()
        self._answers: SimpleQueue[Sequence[Posted]] = SimpleQueue()
        self._in_flight = 0
        self._hands = desk.senders * desk.per_request
        self._ahead = 0
        # A kill leaves what is ahead in doubt: of large requests, one at most.
        self._most_ahead = desk.senders if desk.per_request == 1 else desk.per_request
        self._unmade = Counter[str]()
        self._is_all_claimed = False
        self._is_looking_on = False
        self._is_stopped = False
        self._asked_at = desk.clock()
        self._failed: Exception | None = None

    def run(self) -> DeliverResult:
        """Go on until nothing may be sent now and nothing is in flight."""
        result = self._result
        result.halted = admission.ask_if_needed(self._desk)
        answered: list[Posted] = []
        while True:
            answered += self._answered()
            group = self._group_or_none()
            if group or answered:
                self._commit(answered, group)
                # By what SES takes in a moment: where it is slow or refuses, none.
                taken = sum(each.state is MessageState.ACCEPTED for each in answered)
                is_smooth = taken == len(answered)
                self._ahead = min(2 * taken, self._most_ahead) if is_smooth else 0
                answered = []
            elif self._in_flight:
                answered = self._next_answer()
            elif not self._is_looking_on or not self._may_send():
                break
        self._give_back()
        if self._failed is not None:
            raise self._failed
        if result.endings or result.halted:
            logger.info("delivered", halted=result.halted, **result.endings)
        return result

    def _answered(self) -> list[Posted]:
        """Return the answers that are there, and those that may be waited for."""
        found: list[Posted] = []
        until = time.monotonic() + _GATHER_SECONDS
        # Those that are ahead must last for the commit.
        enough = self._hands + self._ahead // 2
        while self._in_flight:
            left = until - time.monotonic() if self._in_flight > enough else 0
            try:
                found += self._took(self._answers.get(timeout=max(0, left)))
            except Empty:
                break
        return found

    def _next_answer(self) -> list[Posted]:
        """Wait for an answer, or until more may be sent."""
        wait: float | None = None
        if self._result.again_at is not None and self._may_go_on():
            left = self._result.again_at - self._desk.clock()
            wait = max(0.0, left.total_seconds())
        try:
            return self._took(self._answers.get(timeout=wait))
        except Empty:
            return []

    def _took(self, answers: Sequence[Posted]) -> list[Posted]:
        self._in_flight -= len(answers)
        return list(answers)

    def _may_go_on(self) -> bool:
        is_halted = self._result.halted is not None or self._failed is not None
        return not is_halted and not self._desk.should_stop()

    def _may_send(self) -> bool:
        """Say whether more may be sent now."""
        again_at = self._result.again_at
        is_early = again_at is not None and self._desk.clock() < again_at
        return self._may_go_on() and not is_early

    def _group_or_none(self) -> list[posting.Mail]:
        """Return the next group; after an error none, until all is recorded."""
        try:
            return self._next_group()
        except Exception as error:  # noqa: BLE001 — raised once nothing is in flight
            self._failed = error
            return []

    def _next_group(self) -> list[posting.Mail]:
        """Return as many mails as senders are free, if more may be sent now."""
        desk, result = self._desk, self._result
        room = self._hands + self._ahead - self._in_flight
        if room <= 0 or not self._may_send():
            return []
        result.again_at = None
        if desk.clock() >= self._asked_at + QUOTA_HOLDS_FOR:
            self._asked_at = desk.clock()
            admission.ask_if_needed(desk)
        if len(self._waiting) < max(room, self._hands) and not self._is_all_claimed:
            self._claim(min(2 * self._hands, _BATCH))
        return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def _claim(self, limit: int) -> None:
        """Claim due messages and make their mails."""
        among = _LOOKS_WIDE if self._is_looking_on else limit
        claimed = admission.claim(self._desk, limit, among=among)
        result = self._result
        result.endings.update(claimed.endings)
        result.again_at, result.halted = claimed.again_at, claimed.because
        self._is_all_claimed = claimed.is_all
        # All that was looked at is for later, or never: there may be more behind it.
        self._is_looking_on = not claimed.messages and claimed.is_any
        if claimed.messages:
            # A mail of an earlier claim, whose lease ran out, is not made twice.
            ours = {message.id for message in claimed.messages}
            self._waiting = deque(m for m in self._waiting if m.message not in ours)
            self._waiting += self._made(claimed.messages)

    def _made(self, claimed: Sequence[ClaimedMessage]) -> list[posting.Mail]:
        """Return the mails of claimed messages; one that cannot be made is refused.

        Many in a row say something of their template, not of their recipients: then
        their campaign is paused, and the rest of them is left to be made later.
        """
        desk, now = self._desk, self._desk.clock()
        with desk.sessions.begin() as session:
            # Read each time: another database may have been put in the place.
            name = instance.name(session)
            releases = records.releases_before(session, now)
        made = compose_all(
            desk.composer, claimed, instance=name, releases=releases, now=now
        )
        mails, unmade = [], []
        for message, mail in zip(claimed, made, strict=True):
            if isinstance(mail, RenderError):
                unmade.append((message, str(mail)[:500]))
            else:
                mails.append(posting.Mail(message.id, mail))
                self._unmade[message.campaign] = 0
        if unmade:
            self._refuse(unmade)
        return mails

    def _refuse(self, unmade: Sequence[tuple[ClaimedMessage, str]]) -> None:
        claimed, worker = MessageState.CLAIMED, self._desk.worker
        with self._desk.sessions.begin() as session:
            # Locked before any campaign is, as by those who post.
            allowance.lock(session)
            for message, reason in unmade:
                after, changes = self._after(session, message, reason)
                messages.move_all(
                    session, [message.id], claimed, after, changes, of=worker
                )
                self._result.endings[after] += 1

    def _after(
        self, session: Session, message: ClaimedMessage, reason: str
    ) -> tuple[MessageState, dict[str, Any]]:
        """Return what a message whose mail cannot be made becomes."""
        now = self._desk.clock()
        if self._unmade[message.campaign] >= _UNMADE_IN_A_ROW:
            return MessageState.PLANNED, {}
        self._unmade[message.campaign] += 1
        if self._unmade[message.campaign] == _UNMADE_IN_A_ROW:
            because = (
                f"{_UNMADE_IN_A_ROW} mails in a row could not be made; the last: "
                f"{reason}; mend the template, then resume"
            )
            campaigns.pause_of(session, message.id, now=now, because=because)
        return MessageState.REFUSED, {"reason": reason, "settled_at": now}

    def _commit(self, answered: list[Posted], group: list[posting.Mail]) -> None:
        """Record answers and attempts in one transaction, then post the attempts."""
        desk, result = self._desk, self._result
        turn = write_persistently(
            desk.sessions,
            lambda session, attempt: posting.write(
                desk, session, answered, group, is_repeated=attempt > 1
            ),
            sleep=desk.sleep,
        )
        result.endings.update(each.state for each in answered)
        # The gate, or an answer, may have planned some again that are due.
        is_less = len(turn.ready) + len(turn.waiting) < len(group)
        if is_less or any(each.state is MessageState.PLANNED for each in answered):
            self._is_all_claimed = False
        result.endings.update(turn.endings)
        result.again_at = turn.again_at
        result.halted = result.halted or turn.halted
        self._waiting.extendleft(reversed(turn.waiting))
        if turn.is_suspect:
            self._ask()
        if turn.ready and self._remembered(turn.ready):
            for request in posting.requests(desk, turn.ready):
                self._start(request, turn.gated_at)

    def _ask(self) -> None:
        """Find out whether the database may be a copy: then nothing more goes."""
        try:
            self._result.halted = self._desk.guard.ask(now=self._desk.clock())
        except Exception as error:  # noqa: BLE001 — raised once nothing is in flight
            self._failed = error

    def _remembered(self, ready: Sequence[posting.Ready]) -> bool:
        """Let the mark know of attempts; where it cannot, none of them is posted."""
        try:
            self._desk.guard.remember(max(mail.attempt for mail in ready))
        except OSError as error:
            logger.exception("mark_not_raised")
            reason = f"{type(error).__name__}: the mark of what was sent cannot be kept"
            self._in_flight += len(ready)
            now = self._desk.clock()
            self._answers.put(posting.put_off(ready, reason, now=now))
            return False
        return True

    def _start(
        self, request: Sequence[posting.Ready], gated_at: datetime | None
    ) -> None:
        self._in_flight += len(request)
        self._desk.start(lambda: self._post(request, gated_at))

    def _post(
        self, request: Sequence[posting.Ready], gated_at: datetime | None
    ) -> None:
        """Post a request, unless an answer meanwhile said that nothing goes now."""
        desk = self._desk
        if self._is_stopped:
            now, reason = desk.clock(), "sending had stopped"
            posted = [posting.again(mail, reason, now=now) for mail in request]
        else:
            posted = posting.post(desk, request, since=gated_at)
        if any(posting.stops_all(each) for each in posted):
            self._is_stopped = True
        self._answers.put(posted)

    def _give_back(self) -> None:
        """Let claimed messages that will not be posted now be planned again."""
        ids = [mail.message for mail in self._waiting]
        if not ids:
            return
        with self._desk.sessions.begin() as session:
            claimed, planned = MessageState.CLAIMED, MessageState.PLANNED
            messages.move_all(session, ids, claimed, planned, of=self._desk.worker)


def next_due_at(desk: Desk) -> datetime | None:
    """Return when the next message falls due."""
    with desk.sessions.begin() as session:
        return messages.next_due_at(session)


def finish(desk: Desk) -> list[str]:
    """Finish campaigns that have nothing left to do; return their names."""
    with desk.sessions.begin() as session:
        messages.skip_closed(session, now=desk.clock())
        return campaigns.finish_done(session)
