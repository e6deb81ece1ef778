"""`winback simulate`: the engine in small worlds where everything goes wrong."""

import logging
import sys
from collections import Counter

import structlog
from rich.console import Console
from rich.progress import track

from campaigns.simulation.trial import Outcome
from campaigns.simulation.trials import bench, simulate


def run_trials(*, seed: int, trials: int) -> None:
    """Run trials from a seed on, tell what became of them, and fail if any broke."""
    # What goes wrong on purpose is counted here; a line for each says nothing more.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    seeds = track(
        range(seed, seed + trials),
        description="trials",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bench() as shared:
        outcomes = list(simulate(shared, seeds))
    _tell(outcomes)
    if any(outcome.broken for outcome in outcomes):
        sys.exit(1)


def _tell(outcomes: list[Outcome]) -> None:
    mishaps: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    for outcome in outcomes:
        mishaps.update(outcome.mishaps)
        endings.update(outcome.endings)
    points = sum(outcome.points for outcome in outcomes)
    mails = sum(outcome.mails for outcome in outcomes)
    print(f"{len(outcomes):,} trials, {points:,} points, {mails:,} mails")
    print("went wrong: " + (_counted(mishaps) or "nothing"))
    print("ended as: " + _counted(endings))
    broken = [(each.seed, what) for each in outcomes for what in each.broken]
    for seed, what in broken:
        print(f"BROKEN, seed {seed}: {what}")
    print(f"broken promises: {len(broken)}")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
