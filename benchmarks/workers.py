"""Workers side by side, killed again and again: nobody is mailed twice, none is lost.

    python -m benchmarks.workers URL PORT

is one worker: it sends until nothing is left, and puts right what dead ones left.
"""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from benchmarks.books import Books, compared
from benchmarks.desks import desk
from benchmarks.programme import planned
from benchmarks.sending import ROOT, Load, clock, null_ses, sender
from campaigns.store.attempts import workers_in_hand
from campaigns.store.session import make_sessions, open_engine
from campaigns.store.tables.delivery import MessageRow

THREADS = 8
OPEN = ("planned", "claimed", "posting")
SETTLED_WITHIN_SECONDS = 600


class Killed(NamedTuple):
    """What workers left.

    Attributes:
        kills: How many were killed.
        books: The ledger beside what was posted.
    """

    kills: int
    books: Books


def killed(url: str, folder: Path, *, workers: int, kills: int, mails: int) -> Killed:
    """Let workers send, and kill one of them again and again."""
    planned(url, mails=mails)
    engine = open_engine(url)
    sessions = make_sessions(engine)
    rng, taken = random.Random(7), folder / "taken.txt"
    done = 0
    with null_ses(milliseconds=40, taken=taken) as port:
        living = [start(url, port) for _ in range(workers)]
        while done < kills and _states(sessions)["planned"]:
            time.sleep(rng.uniform(0.05, 0.3))
            # One that has mails in hand: the others are only starting.
            in_hand = {int(name.split("-")[-2]) for name in _in_hand(sessions)}
            found = [each for each in living if each.pid in in_hand]
            if not found:
                continue
            victim = rng.choice(found)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            living[living.index(victim)] = start(url, port)
            done += 1
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while any(_states(sessions)[each] for each in OPEN):
            assert time.monotonic() < deadline, _states(sessions)
            time.sleep(0.2)
        for worker in living:
            worker.wait()
    with sessions.begin() as session:
        states = dict(session.execute(select(MessageRow.id, MessageRow.state)).all())
    engine.dispose()
    posted = Counter(map(int, taken.read_text().split()))
    return Killed(done, compared(states, posted))


def _states(sessions) -> Counter:
    query = select(MessageRow.state, func.count()).group_by(MessageRow.state)
    with sessions.begin() as session:
        return Counter(dict(session.execute(query).all()))


def _in_hand(sessions) -> list[str]:
    with sessions.begin() as session:
        return workers_in_hand(session)


def start(url: str, port: int) -> subprocess.Popen:
    """Start a worker against the null SES of a port."""
    command = [sys.executable, "-m", "benchmarks.workers", url, str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def main() -> None:
    """Send until nothing is left."""
    from campaigns.steps.deliver import deliver
    from campaigns.steps.restart import sweep
    from campaigns.store.workers import at_work
    from campaigns.wiring.sending import new_worker

    url, port = sys.argv[1], int(sys.argv[2])
    ses = sender(Load(url, port, 0, 1, THREADS))
    engine = open_engine(url)
    sessions = make_sessions(engine)
    with (
        at_work(engine, new_worker(), schedules=False) as presence,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        at = desk(
            sessions,
            ses,
            start=pool.submit,
            senders=THREADS,
            clock=clock,
            worker=presence.worker,
        )
        while any(_states(sessions)[each] for each in OPEN):
            sweep(sessions, worker=presence.worker, now=clock())
            deliver(at)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
