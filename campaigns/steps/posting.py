"""Posting: the transaction that commits attempts, and the one POST after it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

import structlog

from campaigns.domain.values import Email, Posted
from campaigns.domain.words import MessageState
from campaigns.errors import (
    CampaignHaltedError,
    OutcomeUnknownError,
    RejectedError,
    RetryLaterError,
    SendError,
    SendingHaltedError,
    ThrottledError,
)
from campaigns.rules import pacing
from campaigns.rules.pacing import Allowance
from campaigns.steps import admission
from campaigns.steps.desk import Desk
from campaigns.store import (
    allowance,
    attempts,
    campaigns,
    gate,
    meters,
    rollout,
)
from campaigns.store.session import Session

logger = structlog.get_logger(__name__)

_AFTER_THROTTLE: Final = timedelta(seconds=5)
_AFTER_NO_CONNECTION: Final = timedelta(seconds=30)
_STOPS_ALL: Final = (SendingHaltedError, RetryLaterError)
_HOLDS_FOR: Final = timedelta(seconds=1)
"""How long after the gate let a mail pass it may still be posted."""
_LONGEST_REASON: Final = 500


class Mail(NamedTuple):
    """The mail of a claimed message."""

    message: int
    email: Email


class Ready(NamedTuple):
    """A mail whose attempt is committed: it may be posted, once."""

    message: int
    attempt: int
    email: Email


class Turn(NamedTuple):
    """What came of a transaction.

    Attributes:
        ready: To be posted now.
        waiting: Still claimed, for later.
        endings: How many ended at the gate.
        again_at: When more may go, if some may not now.
        halted: Why nothing may go, if so.
        gated_at: When nothing forbade those that are ready.
        is_suspect: Whether the database may be a copy: nothing goes before that is
            known.
    """

    ready: Sequence[Ready] = ()
    waiting: Sequence[Mail] = ()
    endings: Mapping[str, int] = MappingProxyType({})
    again_at: datetime | None = None
    halted: str | None = None
    gated_at: datetime | None = None
    is_suspect: bool = False


def write(
    desk: Desk,
    session: Session,
    answered: Sequence[Posted],
    group: Sequence[Mail],
    *,
    is_repeated: bool,
) -> Turn:
    """Record answers, and commit the attempts of a group that still may go.

    Args:
        desk: What the sender works with.
        session: The transaction.
        answered: What became of earlier attempts.
        group: Claimed messages with their mails.
        is_repeated: Whether this was tried before, and may have been committed.
    """
    now = desk.clock()
    not_out = attempts.settle(session, answered, now=now) if answered else []
    causes = [each for each in answered if each.cause is not None]
    if not group and not causes and not not_out:
        return Turn()
    # Locked before any campaign is: two workers would wait for each other otherwise.
    known = allowance.lock(session)
    halted, known = _learn(session, known, causes, now=now)
    known = _take_off(session, known, not_out, now=now)
    if halted or not group:
        allowance.keep(session, known)
        return Turn(waiting=group, halted=halted)
    return _begin(desk, session, known, group, is_repeated=is_repeated)


def _learn(
    session: Session, known: Allowance, answered: Sequence[Posted], *, now: datetime
) -> tuple[str | None, Allowance]:
    """Return why nothing more may go, if an answer says so, and the new allowance."""
    halted = None
    for each in answered:
        _pause(session, each, now=now)
        cause, reason = each.cause, each.reason or ""
        if isinstance(cause, ThrottledError):
            known = pacing.after_throttling(known, now=now)
        elif isinstance(cause, _STOPS_ALL):
            is_by_ses = isinstance(cause, SendingHaltedError)
            pause = pacing.AFTER_HALT if is_by_ses else _AFTER_NO_CONNECTION
            known = pacing.after_halt(known, reason, now=now, pause=pause)
            halted = reason
        elif isinstance(cause, OutcomeUnknownError):
            unclear = attempts.unclear_in_a_row(session)
            if unclear is not None:
                halted = f"{unclear} answers in a row left mails in doubt: {reason}"
                pause = pacing.AFTER_HALT
                known = pacing.after_halt(known, halted, now=now, pause=pause)
    return halted, known


def _take_off(
    session: Session, known: Allowance, not_out: Sequence[int], *, now: datetime
) -> Allowance:
    """Count messages no more that SES did not take: nothing of them is out."""
    meters.take_off(session, not_out, now=now)
    return pacing.after_none_taken(known, len(not_out), now=now)


def _pause(session: Session, posted: Posted, *, now: datetime) -> None:
    """Pause a message's campaign if no mail of it would be taken."""
    if isinstance(posted.cause, CampaignHaltedError):
        because = posted.reason or ""
    elif isinstance(posted.cause, RejectedError):
        rejected = rollout.rejected_in_a_row(session, posted.message)
        if rejected is None:
            return
        because = f"SES refused {rejected} mails in a row; the last: {posted.reason}"
    else:
        return
    campaigns.pause_of(session, posted.message, now=now, because=because)


def _begin(
    desk: Desk,
    session: Session,
    known: Allowance,
    group: Sequence[Mail],
    *,
    is_repeated: bool,
) -> Turn:
    now = desk.clock()
    gate.before_posting(session)
    if is_repeated:
        ids = [mail.message for mail in group]
        back = attempts.take_back(session, ids, worker=desk.worker, now=now)
        known = _take_off(session, known, back, now=now)
    if desk.guard.forbids(session, now=now):
        allowance.keep(session, known)
        return Turn(waiting=group, is_suspect=True)
    claimed = MessageState.CLAIMED
    admitted = admission.sort(
        desk, session, [mail.message for mail in group], claimed, now=now
    )
    granted, after = pacing.grant(known, len(admitted.go), policy=desk.policy, now=now)
    allowance.keep(session, after)
    go = admitted.go[: granted.mails]
    begun = attempts.begin(session, go, worker=desk.worker, now=now)
    metered = Counter(f.campaign for f in go if f.message in begun and f.is_metered)
    meters.count(session, metered, now=now)
    later = {facts.message for facts in admitted.go[granted.mails :]}
    return Turn(
        ready=[
            # Each attempt once, whatever the group holds.
            Ready(mail.message, begun.pop(mail.message), mail.email)
            for mail in group
            if mail.message in begun
        ],
        waiting=[mail for mail in group if mail.message in later],
        endings=admission.endings_of(admitted),
        again_at=granted.again_at,
        halted=granted.because,
        gated_at=now,
    )


def post(
    desk: Desk, request: Sequence[Ready], *, since: datetime | None
) -> list[Posted]:
    """Post mails by one request, once, and say what became of each.

    Args:
        desk: What the sender works with.
        request: The mails, whose attempts are committed.
        since: When nothing forbade them. Long after it something may: none is posted.
    """
    now = desk.clock()
    if since is None or now - since > _HOLDS_FOR:
        return [again(mail, "no sender was free in time", now=now) for mail in request]
    try:
        answers = desk.send([mail.email for mail in request])
        answered = list(zip(request, answers, strict=True))
    except SendError as error:
        if len(request) > 1 and isinstance(error, RejectedError):
            return _each_alone(desk, request, error, now=now)
        answered = [(mail, error) for mail in request]
    except Exception as error:  # whatever it was, the mails may have been taken
        logger.exception("post_failed", messages=[mail.message for mail in request])
        doubt = OutcomeUnknownError(type(error).__name__)
        answered = [(mail, doubt) for mail in request]
    now = desk.clock()
    return [_posted(mail, answer, now=now) for mail, answer in answered]


def _each_alone(
    desk: Desk, request: Sequence[Ready], error: RejectedError, *, now: datetime
) -> list[Posted]:
    """Plan the mails of a refused request anew, each to be posted alone.

    One of them is what SES refused, and it does not say which; none was taken.
    """
    desk.alone.update(mail.message for mail in request)
    reason = f"one of {len(request)}: {_reason(error)}"
    return [again(mail, reason, now=now) for mail in request]


def again(mail: Ready, reason: str, *, now: datetime) -> Posted:
    """Return that a mail, which was not posted or surely not taken, is planned anew."""
    state = MessageState.PLANNED
    return Posted(mail.message, mail.attempt, state, None, reason, now)


def put_off(ready: Sequence[Ready], reason: str, *, now: datetime) -> list[Posted]:
    """Return that mails were not posted, and that for now nobody should post any."""
    cause = RetryLaterError(reason)
    return [_posted(mail, cause, now=now) for mail in ready]


def stops_all(posted: Posted) -> bool:
    """Say whether an answer means that nothing more may go for now."""
    return isinstance(posted.cause, _STOPS_ALL) and not isinstance(
        posted.cause, ThrottledError
    )


def requests(desk: Desk, ready: Sequence[Ready]) -> list[Sequence[Ready]]:
    """Return mails by the requests that post them."""
    alone = [[mail] for mail in ready if mail.message in desk.alone]
    others = [mail for mail in ready if mail.message not in desk.alone]
    size = desk.per_request
    return [*alone, *(others[n : n + size] for n in range(0, len(others), size))]


def _posted(mail: Ready, answer: str | SendError, *, now: datetime) -> Posted:
    message, attempt = mail.message, mail.attempt
    if isinstance(answer, str):
        state = MessageState.ACCEPTED
        return Posted(message, attempt, state, ses_message_id=answer)
    reason = _reason(answer)
    if isinstance(answer, RejectedError):
        state = MessageState.REFUSED
        return Posted(message, attempt, state, reason=reason, cause=answer)
    if isinstance(answer, _NOTHING_TAKEN):
        not_before = now + (
            _AFTER_THROTTLE if isinstance(answer, RetryLaterError) else timedelta()
        )
        state = MessageState.PLANNED
        return Posted(message, attempt, state, None, reason, not_before, answer)
    state = MessageState.UNKNOWN
    return Posted(message, attempt, state, reason=reason, cause=answer)


_NOTHING_TAKEN: Final = (RetryLaterError, CampaignHaltedError, SendingHaltedError)


def _reason(error: SendError) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
