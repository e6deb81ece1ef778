"""Many trials, each in a folder of its own that goes with it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from campaigns.mail.links import Tokens
from campaigns.mail.templates import Templates
from campaigns.shipped import templates_folder
from campaigns.simulation.mishaps import Mishaps
from campaigns.simulation.small_world import draw_world
from campaigns.simulation.trial import Bench, Door, Outcome, Trial
from campaigns.steps.compose import Composer
from campaigns.store import schema
from campaigns.store.session import open_engine
from campaigns.wiring.sending import make_clients_in_process

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 — only the name of a fresh folder


@contextmanager
def bench() -> Iterator[Bench]:
    """Yield what all trials share."""
    # A trial ends with its process, never with the machine's: memory will do.
    memory = _MEMORY if _MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="winback-trials-", dir=memory) as folder:
        database = Path(folder) / "empty.db"
        engine = open_engine(f"sqlite:///{database}")
        schema.upgrade(engine)
        engine.dispose()
        yield Bench(Door(make_clients_in_process), composer(), database)


def simulate(bench: Bench, seeds: Iterable[int]) -> Iterator[Outcome]:
    """Yield what became of the trial of each seed."""
    for seed in seeds:
        rng = Random(seed)
        world = draw_world(rng)
        with TemporaryDirectory(dir=bench.empty_database.parent) as folder:
            trial = Trial(world, Mishaps(rng, world), Path(folder), bench)
            yield trial.run(seed)


def composer() -> Composer:
    """Return what the mails of trials are made with."""
    return Composer(
        render=Templates([templates_folder() / "email"]).render,
        tokens=Tokens({"1": b"simulated token key 000000000000"}),
        company={
            "name": "Tidemark",
            "signature": "The Tidemark team",
            "postal_address": "Harbour Street 4, 20457 Hamburg",
        },
        return_url="https://app.tidemark.example/back",
        public_base_url="https://mail.tidemark.example",
        feature_words={},
    )
