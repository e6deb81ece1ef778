"""Admission: which due messages may go, which never, which later.

Asked twice of each message, by the same rule: when it is claimed, and again in the
transaction that commits its attempt.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from campaigns.domain.values import ClaimedMessage, GateFacts
from campaigns.domain.words import MessageState
from campaigns.errors import SendError
from campaigns.rules import pacing
from campaigns.rules.eligibility import Admitted, admit
from campaigns.steps.desk import Desk
from campaigns.store import allowance, messages
from campaigns.store.gate_facts import gate_facts
from campaigns.store.session import Session

logger = structlog.get_logger(__name__)

_LEASE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was claimed.

    Attributes:
        messages: In the order in which they are due.
        is_all: Whether nothing more is due.
        is_any: Whether anything was.
        endings: How many ended at the gate.
        again_at: When more may be claimed, where SES's limits leave some for later.
        because: Why not now; None if it is only the rate.
    """

    messages: Sequence[ClaimedMessage] = ()
    is_all: bool = False
    is_any: bool = False
    endings: Counter[str] = field(default_factory=Counter)
    again_at: datetime | None = None
    because: str | None = None


def ask_if_needed(desk: Desk) -> str | None:
    """Have SES asked what it allows, unless a worker did just now.

    Returns:
        Why nothing is known of it, if so.
    """
    now = desk.clock()
    with desk.sessions.begin() as session:
        known = allowance.lock(session)
        if not pacing.needs_asking(known, now=now):
            return None
        # By this no other worker asks meanwhile: SES answers once a second.
        allowance.keep(session, replace(known, asked_at=now))
    try:
        quota = desk.quota()
    except SendError as error:
        logger.warning("quota_not_known", error=str(error))
        return str(error) if known.quota is None else None
    with desk.sessions.begin() as session:
        known = pacing.after_asking(allowance.lock(session), quota, now=now)
        allowance.keep(session, known)
    return None


def claim(desk: Desk, limit: int, *, among: int) -> Claimed:
    """Lease due messages that may go now; end or postpone the others.

    Args:
        desk: What the sender works with.
        limit: How many, at most.
        among: How many due ones are looked at.
    """
    now = desk.clock()
    with desk.sessions.begin() as session:
        known = allowance.read(session)
        may_go, _ = pacing.grant(known, limit, policy=desk.policy, now=now)
        if not may_go.mails:
            return Claimed(again_at=may_go.again_at, because=may_go.because)
        most = may_go.mails if among == limit else among
        due = messages.due(session, now=now, limit=most)
        admitted = sort(desk, session, due, MessageState.PLANNED, now=now)
        go = admitted.go[: may_go.mails]
        messages.claim(session, go, worker=desk.worker, until=now + _LEASE)
        claimed = messages.read_claimed(session, [facts.message for facts in go])
    endings = Counter(endings_of(admitted))
    return Claimed(claimed, is_all=not due, is_any=bool(due), endings=endings)


def sort(
    desk: Desk,
    session: Session,
    ids: Sequence[int],
    state: MessageState,
    *,
    now: datetime,
) -> Admitted:
    """Say which messages may go; end those that never may, and postpone the others."""
    if not ids:
        return Admitted()
    facts = _facts(desk, session, ids, now)
    admitted = admit([each for each in facts if each.state is state], now=now)
    ours = desk.worker if state is MessageState.CLAIMED else None
    skipped, planned = MessageState.SKIPPED, MessageState.PLANNED
    for reason, some in admitted.never.items():
        changes = {"reason": reason, "settled_at": now}
        messages.move_all(session, some, state, skipped, changes, of=ours)
    for until, some in admitted.later.items():
        if state is planned:
            messages.postpone(session, some, until=until)
        else:
            messages.move_all(session, some, state, planned, {"due_at": until}, of=ours)
    return admitted


def _facts(
    desk: Desk, session: Session, ids: Sequence[int], now: datetime
) -> list[GateFacts]:
    zone = desk.default_time_zone
    return gate_facts(session, ids, default_zone=zone, now=now)


def endings_of(admitted: Admitted) -> dict[str, int]:
    """Return how many messages ended at the gate."""
    skipped = sum(map(len, admitted.never.values()))
    return {MessageState.SKIPPED: skipped} if skipped else {}
