"""Whole programmes lived through by the ordinary commands, in worlds that tell all."""

import io
import json
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog
from rich.console import Console
from rich.progress import track

_ACCOUNTS: Final = 300
_PROCESSES: Final = 2


class Lived(NamedTuple):
    """What the report of a world's last week says, and what is true.

    Attributes:
        seed: Of the world.
        accounts: Written to and held out.
        value: The lift that was measured.
        low: The lower end of its interval at all looks.
        high: The upper end.
        truth: What mails truly added to the chance of a return.
    """

    seed: int
    accounts: tuple[int, int]
    value: float
    low: float
    high: float
    truth: float

    @property
    def error(self) -> float:
        """Measured minus true."""
        return self.value - self.truth

    @property
    def is_missed(self) -> bool:
        """Whether the truth lies outside the interval."""
        return not self.low <= self.truth <= self.high


def lived_through(count: int, file: Path) -> Iterator[Lived]:
    """Yield what became of each world; those that `file` keeps are not lived again."""
    kept = [json.loads(line) for line in file.open()] if file.exists() else []
    yield from (Lived(**each) for each in kept if each["seed"] <= count)
    done = {each["seed"] for each in kept}
    left = [seed for seed in range(1, count + 1) if seed not in done]
    with (
        ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool,
        file.open("a") as lines,
    ):
        tries = pool.map(_live, left)
        for found in track(tries, "pipelines", len(left), console=Console(stderr=True)):
            lines.write(json.dumps(found) + "\n")
            lines.flush()
            yield Lived(**found)


def _live(seed: int) -> dict[str, Any]:
    """Return what became of a world, as plain values."""
    from campaigns.cli.demo import run_demo

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        outcome = run_demo(Path(folder) / "demo", accounts=_ACCOUNTS, seed=seed)
    arms, lift = outcome.campaign.comparison, outcome.campaign.comparison.lift
    if lift is None:
        raise AssertionError(f"seed {seed}: an arm is empty")
    sizes = arms.treated.accounts, arms.holdout.accounts
    return Lived(seed, sizes, *lift, outcome.truth)._asdict()
