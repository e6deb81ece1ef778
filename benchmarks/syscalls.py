"""A sender killed at its every system call, and a disk that fails at any of them.

    python -m benchmarks.syscalls DATABASE MISHAP POINTS

prints a line of JSON for each point: what was left once a second sender, unharmed,
was through. A sender is forked, for its start would cost more than all that it does.
"""

import ctypes
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import structlog
from sqlalchemy import func, select

from benchmarks.books import Books, compared
from benchmarks.desks import desk
from benchmarks.programme import planned
from benchmarks.run import database
from benchmarks.sending import ROOT, Load, clock, null_ses, sender
from campaigns.errors import SenderBusyError
from campaigns.steps.copies import CopyGuard
from campaigns.steps.deliver import deliver
from campaigns.steps.restart import restart
from campaigns.store.session import database_trouble, make_sessions, open_engine
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.watermark import Watermark
from campaigns.store.workers import at_work
from campaigns.wiring.sending import at_once, new_worker

MAILS = 4
OPEN = ("planned", "claimed", "posting")
MISHAPS = ("killed", "disk full", "disk broken")
_FILES = "?pwrite64,?write,?fsync,?fdatasync,?ftruncate"
_ALL = (
    f"{_FILES},?openat,?read,?pread64,?writev,?unlink,?unlinkat,?rename,?renameat,?close,"
    "?fcntl,?connect,?sendto,?recvfrom,?sendmsg,?recvmsg,?poll,?ppoll"
)
_INJECTED = {
    "killed": (_ALL, "signal=KILL"),
    "disk full": (_FILES, "error=ENOSPC"),
    "disk broken": (_FILES, "error=EIO"),
}
_NOTICED_WITHIN_SECONDS = 60
_STAYS = {"disk full"}
_CALL = re.compile(r"^(\d+) +(\w+)\(")
_WELL, _CLEAN, _UNCLEAN = 0, 3, 4
_ANYBODY = (0x59616D61, -1)  # prctl: PR_SET_PTRACER, PR_SET_PTRACER_ANY


class Left(NamedTuple):
    """What was left at a point.

    Attributes:
        mishap: What happened.
        point: At which of the sender's system calls.
        end: How the sender ended: killed, well, clean (it said why), or unclean.
        is_alone: Whether it had no threads, so that no call has its place by chance.
        books: The ledger, after a second sender, beside what was posted.
        unwritten: Messages that were posted without an attempt in the ledger.
    """

    mishap: str
    point: int
    end: str
    is_alone: bool
    books: Books
    unwritten: list[int]

    @property
    def is_hit(self) -> bool:
        """Whether the mishap happened: a kill is always seen."""
        return self.end == "killed" or self.mishap != "killed"

    @property
    def is_whole(self) -> bool:
        """Whether no promise was broken."""
        return (
            self.books.are_exact
            and not self.unwritten
            and self.end != "unclean"
            and (self.is_hit or not self.is_alone)
            and not any(self.books.states.get(each) for each in OPEN)
        )


@dataclass(frozen=True, slots=True)
class Calls:
    """What a sender asked of the system.

    Attributes:
        has_threads: Whether mails were posted by threads, as they are for real.
        made: The thread and the name of each call, in their order.
    """

    has_threads: bool
    made: list[tuple[str, str]]

    def injecting(self, mishap: str, point: int) -> list[str]:
        """Return strace's options by which a mishap happens at the call `point`.

        It counts the calls of each thread and each name by themselves.
        """
        thread, name = self.made[point]
        _, what = _INJECTED[mishap]
        before = Counter(self.made[:point])
        if mishap not in _STAYS:
            when = before[thread, name] + 1
            return ["-e", f"trace={name}", "-e", f"inject={name}:{what}:when={when}"]
        names = sorted({each for _, each in self.made})
        options = ["-e", f"trace={','.join(names)}"]
        for each in names:
            when = before[thread, each] + 1
            options += ["-e", f"inject={each}:{what}:when={when}+"]
        return options


def can_be_tried() -> bool:
    """Say whether this machine lets us into system calls."""
    strace = shutil.which("strace")
    if strace is None:
        return False
    done = subprocess.run([strace, "-o", os.devnull, "true"], check=False)
    return done.returncode == 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where senders are tried.

    Attributes:
        ses: Posts to the null SES.
        taken: The file in which that writes what it took.
        copies: Makes a new database like the first one; yields its address.
    """

    ses: Any
    taken: Path
    copies: Callable[[Path], Any]

    def left(self, mishap: str, calls: Calls, point: int) -> Left:
        """Let a mishap happen to a sender at a point, and a second one go on."""
        before = self.taken.stat().st_size
        with tempfile.TemporaryDirectory() as name, self.copies(Path(name)) as url:
            act = partial(_send, url, self.ses, Path(name), calls.has_threads)
            ended = _traced(act, calls.injecting(mishap, point))
            _waited(_forked(partial(_started_again, act)))
            states, attempted = _ledger(url)
        with self.taken.open() as lines:
            lines.seek(before)
            posted = Counter(map(int, lines.read().split()))
        return Left(
            mishap,
            point,
            ended,
            not calls.has_threads,
            compared(states, posted),
            sorted(set(posted) - attempted),
        )

    def calls(self, mishap: str, *, has_threads: bool) -> Calls:
        """Return the system calls of an unharmed sender that a mishap may hit."""
        traced, _ = _INJECTED[mishap]
        with tempfile.TemporaryDirectory() as name, self.copies(Path(name)) as url:
            told = Path(name) / "calls.txt"
            act = partial(_send, url, self.ses, Path(name), has_threads)
            _traced(act, ["-e", f"trace={traced}"], told=told)
            found = (_CALL.match(line) for line in told.read_text().splitlines())
            return Calls(has_threads, [(each[1], each[2]) for each in found if each])


def _started_again(act: Callable[[], None]) -> None:
    """Act once nobody else does: a database may notice a death only a moment later."""
    until = time.monotonic() + _NOTICED_WITHIN_SECONDS
    while True:
        try:
            return act()
        except SenderBusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _send(url: str, ses: Any, folder: Path, has_threads: bool) -> None:
    """Be a sender, until nothing is left to send."""
    engine = open_engine(url)
    mark = Watermark(folder / "mark.json")
    sessions = make_sessions(engine, mark)
    with (
        at_work(engine, new_worker(), schedules=True) as presence,
        ThreadPoolExecutor(2) as pool,
    ):
        guard = CopyGuard(sessions, mark)
        at = desk(
            sessions,
            ses,
            start=pool.submit if has_threads else at_once,
            senders=2,
            clock=clock,
            # A full disk is waited for, for minutes.
            sleep=lambda seconds: time.sleep(seconds / 1_000),
            worker=presence.worker,
            guard=guard,
        )
        because = restart(sessions, guard, worker=presence.worker, now=clock())
        assert because is None, because
        while _is_open(sessions):
            deliver(at)
    engine.dispose()


def _is_open(sessions) -> bool:
    with sessions.begin() as session:
        query = select(func.count()).where(MessageRow.state.in_(OPEN))
        return bool(session.scalar(query))


def _ledger(url: str) -> tuple[dict[int, str], set[int]]:
    """Return the state of each message, and those with an attempt."""
    engine = open_engine(url)
    with make_sessions(engine).begin() as session:
        states = dict(session.execute(select(MessageRow.id, MessageRow.state)).all())
        attempted = set(session.scalars(select(AttemptRow.message)))
    engine.dispose()
    return states, attempted


def _forked(act: Callable[[], None]) -> int:
    process = os.fork()
    if process == 0:
        _be(act)
    return process


def _be(act: Callable[[], None]) -> NoReturn:
    """Act and end, without anything that the process we were forked from would do."""
    status = _UNCLEAN
    try:
        act()
        status = _WELL
    except Exception as error:  # noqa: BLE001 — what it is decides the status
        if database_trouble(error) or isinstance(error, OSError):
            status = _CLEAN
        else:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _traced(act: Callable[[], None], options: list[str], told: Path | None = None):
    """Let a process act under strace; return how it ended."""
    wait, go = os.pipe()

    def when_told() -> None:
        os.read(wait, 1)
        act()

    ctypes.CDLL(None).prctl(*_ANYBODY)
    process = _forked(when_told)
    command = ["strace", "-f", "-o", str(told or os.devnull), *options]
    strace = subprocess.Popen(
        [*command, "-p", str(process)], stderr=subprocess.PIPE, text=True
    )
    assert strace.stderr is not None
    said = strace.stderr.readline()
    assert "attached" in said, said
    os.write(go, b"!")
    os.close(go)
    os.close(wait)
    ended = _waited(process)
    strace.communicate()
    return ended


def _waited(process: int) -> str:
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return "killed"
    return {_WELL: "well", _CLEAN: "clean", _UNCLEAN: "unclean"}[os.WEXITSTATUS(status)]


@contextmanager
def stage(name: str, folder: Path) -> Iterator[Stage]:
    """Yield where senders are tried on a kind of database."""
    taken = folder / "taken.txt"
    with (
        database(folder, name) as url,
        null_ses(milliseconds=0, taken=taken) as port,
    ):
        planned(url, mails=MAILS)
        ses = sender(Load(url, port, MAILS, 1, 2))
        yield Stage(ses, taken, partial(_COPIES[name], url))


@contextmanager
def _sqlite_copy(url: str, folder: Path) -> Iterator[str]:
    shutil.copyfile(url.removeprefix("sqlite:///"), folder / "copy.db")
    yield f"sqlite:///{folder}/copy.db"


@contextmanager
def _postgresql_copy(url: str, folder: Path) -> Iterator[str]:
    import psycopg

    there, _, rest = url.partition("/bench")
    name = f"copy_{folder.name.lower()}"
    with psycopg.connect(f"{there}/postgres{rest}", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE bench')
        yield f"{there}/{name}{rest}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


_COPIES = {"SQLite": _sqlite_copy, "PostgreSQL": _postgresql_copy}


def tried(name: str, mishap: str, points: int) -> Iterator[Left]:
    """Yield what was left at points spread over all of a sender's system calls."""
    command = [sys.executable, "-m", "benchmarks.syscalls", name, mishap, str(points)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            left = Left(*json.loads(line))
            yield left._replace(books=Books(*left.books))
    assert process.returncode == 0


def main() -> None:
    """Try points one after the other."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    name, mishap, points = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder, stage(name, Path(folder)) as there:
        # Half of them post by threads, as for real; half one after the other, so that
        # no call has its place by chance.
        both = [there.calls(mishap, has_threads=each) for each in (False, True)]
        for number in range(points):
            calls = both[number % 2]
            point = number * len(calls.made) // points
            print(json.dumps(there.left(mishap, calls, point)), flush=True)


if __name__ == "__main__":
    main()
