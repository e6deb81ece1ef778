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
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import structlog
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.breakages import BREAKAGES, is_found
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


def main(*, is_full: bool) -> int:
    """Try everything, print the table, and return the exit status."""
    table = Table("promise", "how it was tried", "how often", "result", box=None)
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
