"""Small worlds where everything goes wrong, by the hundred or the ten thousand."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from rich.console import Console
from rich.progress import track

from campaigns.simulation.trials import bench, simulate

_AT_ONCE: Final = 20
_PROCESSES: Final = 2


class Worlds(NamedTuple):
    """What became of all trials.

    Attributes:
        mails: Posted in all.
        points: Where something could happen.
        mishaps: How often each happened.
        broken: Promises that were broken, with the seed that shows it again.
    """

    mails: int
    points: int
    mishaps: Counter[str]
    broken: list[str]


def lived_through(count: int, file: Path) -> Worlds:
    """Try so many worlds; those that `file` keeps are not tried again."""
    mails, points = 0, 0
    mishaps, broken = Counter[str](), list[str]()
    for outcome in _outcomes(count, file):
        mails += outcome["mails"]
        points += outcome["points"]
        mishaps.update(outcome["mishaps"])
        broken += [f"seed {outcome['seed']}: {what}" for what in outcome["broken"]]
    return Worlds(mails, points, mishaps, broken)


def _outcomes(count: int, file: Path) -> Iterator[dict[str, Any]]:
    kept = [json.loads(line) for line in file.open()] if file.exists() else []
    yield from (each for each in kept if each["seed"] <= count)
    done = {each["seed"] for each in kept}
    left = [seed for seed in range(1, count + 1) if seed not in done]
    groups = [left[n : n + _AT_ONCE] for n in range(0, len(left), _AT_ONCE)]
    with (
        ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool,
        file.open("a") as lines,
    ):
        tries = pool.map(_try, groups)
        for group in track(tries, "worlds", len(groups), console=Console(stderr=True)):
            for outcome in group:
                lines.write(json.dumps(outcome) + "\n")
                yield outcome
            lines.flush()


def _try(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return what became of some trials, as plain values."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    with bench() as shared:
        return [asdict(outcome) for outcome in simulate(shared, seeds)]
