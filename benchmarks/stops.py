"""How soon workers stop: a person pauses the campaign, or SES pauses the account."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from benchmarks.programme import planned
from benchmarks.sending import clock, null_ses
from benchmarks.workers import THREADS, start
from campaigns.errors import SendingHaltedError
from campaigns.store import campaigns
from campaigns.store.session import Sessions, make_sessions, open_engine
from campaigns.store.tables.delivery import AttemptRow, MessageRow

AT_FULL_RATE = 100
WATCHED_SECONDS = 4
STARTS_WITHIN_SECONDS = 60
SES_SECONDS = 0.04


class Paused(NamedTuple):
    """What became of pauses.

    Attributes:
        slowest_seconds: The longest from a committed pause to a mail that SES took.
        after: Mails that SES took after a pause, in all.
        taken: Mails that SES took.
    """

    slowest_seconds: float
    after: int
    taken: int


def paused(url: str, folder: Path, *, workers: int, times: int, mails: int) -> Paused:
    """Pause a campaign while workers send it at full rate, again and again."""
    taken = folder / "taken.txt"
    slowest, after = 0.0, 0
    with _at_work(url, taken, workers=workers, mails=mails) as sessions:
        for _ in range(times):
            _wait_for_more(taken, mails=AT_FULL_RATE)
            with sessions.begin() as session:
                campaigns.pause(session, "spring", now=clock())
            since, before = time.monotonic(), _count(taken)
            slowest = max(slowest, _last_growth(taken, since))
            after += _count(taken) - before
            with sessions.begin() as session:
                campaigns.resume(session, "spring", now=clock())
    return Paused(slowest, after, _count(taken))


class Halted(NamedTuple):
    """What became of a campaign whose account SES paused.

    Attributes:
        accepted: Mails that SES took before.
        refused: Requests that it refused …
        known: … and how many of them the ledger knows of.
        states: Messages by state.
    """

    accepted: int
    refused: int
    known: int
    states: dict[str, int]

    def is_kept(self, *, workers: int) -> bool:
        """Say whether no more was refused than was in flight, and no mail was lost."""
        seen = self.states.get("accepted", 0), self.states.get("planned", 0)
        whole = self.accepted, sum(self.states.values()) - self.accepted
        is_little = 0 < self.refused == self.known <= workers * THREADS
        return is_little and seen == whole


def halted(url: str, folder: Path, *, workers: int, mails: int) -> Halted:
    """Let SES pause the account after a fifth of the mails."""
    taken = folder / "taken.txt"
    halt = mails // 5
    with _at_work(url, taken, workers=workers, mails=mails, halt=halt) as sessions:
        _wait_for_more(taken, mails=halt)
        _last_growth(taken, time.monotonic())
        states = select(MessageRow.state, func.count()).group_by(MessageRow.state)
        known = select(func.count()).where(
            AttemptRow.detail.startswith(SendingHaltedError.__name__)
        )
        with sessions.begin() as session:
            return Halted(
                _count(taken),
                _count(taken, refused=True),
                session.scalar(known) or 0,
                dict(session.execute(states).all()),
            )


@contextmanager
def _at_work(
    url: str, taken: Path, *, workers: int, mails: int, halt: int | None = None
) -> Iterator[Sessions]:
    planned(url, mails=mails)
    engine = open_engine(url)
    milliseconds = round(SES_SECONDS * 1000)
    living: list[subprocess.Popen] = []
    with null_ses(milliseconds=milliseconds, taken=taken, halt=halt) as port:
        try:
            living += [start(url, port) for _ in range(workers)]
            yield make_sessions(engine)
        finally:
            for each in living:
                each.kill()
                each.wait()
            engine.dispose()


def _wait_for_more(taken: Path, *, mails: int) -> None:
    """Wait until SES took so many more."""
    wanted = _count(taken) + mails
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while _count(taken) < wanted:
        assert time.monotonic() < deadline, f"{_count(taken)} of {wanted} were taken"
        time.sleep(0.005)


def _last_growth(taken: Path, since: float) -> float:
    """Watch for a while, and return after how many seconds the last mail was taken."""
    last, seen = 0.0, _count(taken)
    while (now := time.monotonic() - since) < WATCHED_SECONDS:
        if (found := _count(taken)) > seen:
            last, seen = now, found
        time.sleep(0.005)
    return last


def _count(taken: Path, *, refused: bool = False) -> int:
    lines = taken.read_bytes().splitlines() if taken.exists() else []
    return sum(line.startswith(b"-") is refused for line in lines)
