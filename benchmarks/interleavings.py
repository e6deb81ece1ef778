"""Noes and attempts at the same time, in threads: a no that is committed is heard."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import NamedTuple

from sqlalchemy import select

from benchmarks.desks import desk
from benchmarks.programme import planned
from campaigns.domain.values import SendingQuota
from campaigns.domain.words import SuppressionReason
from campaigns.steps.deliver import deliver
from campaigns.store import suppressions
from campaigns.store.session import Sessions, make_sessions, open_engine
from campaigns.store.tables.delivery import AttemptRow
from tests.factories import NOON

PEOPLE = 3  # who say no at the same time


class Interleaved(NamedTuple):
    """What came of noes beside a sender.

    Attributes:
        before: How many mails were attempted before their no.
        never: How many were not, because of it.
        late: The messages that were attempted after it.
    """

    before: int
    never: int
    late: list[int]


def tried(url: str, *, mails: int) -> Interleaved:
    """Send mails while each recipient says no, and return what came of it."""
    planned(url, mails=mails)
    engine = open_engine(url)
    sessions = make_sessions(engine)
    numbers = list(range(mails))
    Random(7).shuffle(numbers)
    say_no = _say_no(sessions)
    with ThreadPoolExecutor(PEOPLE + 1) as pool:
        sending = pool.submit(_send, sessions)
        while not _has_begun(sessions):  # else all may have said no before
            time.sleep(0.001)
        knew = dict(zip(numbers, pool.map(say_no, numbers), strict=True))
        sending.result()
    with sessions.begin() as session:
        attempted = set(session.scalars(select(AttemptRow.message)))
    engine.dispose()
    late = [n + 1 for n in numbers if n + 1 in attempted and not knew[n]]
    return Interleaved(sum(knew.values()), mails - len(attempted), late)


def _has_begun(sessions: Sessions) -> bool:
    with sessions.begin() as session:
        return session.scalar(select(AttemptRow.id).limit(1)) is not None


def _say_no(sessions: Sessions) -> Callable[[int], bool]:
    def say_no(n: int) -> bool:
        """Say no, and return whether the mail was attempted before that."""
        with sessions.begin() as session:
            reason = SuppressionReason.UNSUBSCRIBED
            suppressions.suppress(session, f"{n:064x}", reason, now=NOON)
        with sessions.begin() as session:
            query = select(AttemptRow.id).where(AttemptRow.message == n + 1)
            return session.scalar(query) is not None

    return say_no


class _YesSes:
    """Takes everything."""

    @staticmethod
    def send_all(emails):
        return ["ses-id" for _ in emails]

    @staticmethod
    def quota():
        return SendingQuota(1e6, -1, 0)


def _send(sessions: Sessions) -> None:
    began = time.monotonic()
    at = desk(
        sessions,
        _YesSes,
        senders=4,
        clock=lambda: NOON + timedelta(seconds=time.monotonic() - began),
        worker="interleaved",
    )
    while deliver(at).again_at is not None:
        time.sleep(0.01)
