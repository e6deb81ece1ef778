"""Promises, how they were tried, and the result: what a `make proof-…` prints.

What was done is kept in files, so a proof that was broken off goes on. It fails if a
promise is broken.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from rich.console import Console
from rich.table import Table

NOT_TRIED: Final = "not tried here"
_ROOT: Final = Path(__file__).resolve().parents[1]
_FOLDERS: Final = ("campaigns", "models", "benchmarks", "templates", "tests")
_SUFFIXES: Final = {".py", ".html", ".txt", ".toml"}
_FILES: Final = ("pyproject.toml", "requirements/core.txt", "requirements/dev.txt")
_WIDTH: Final = 160
_KEPT: Final = Path(__file__).parent / "results" / "trials"


class Row(NamedTuple):
    """A promise in the table.

    Attributes:
        promise: What is promised.
        how: How it was tried.
        how_often: How often.
        result: What came of it.
        broken: What broke it, if anything did.
    """

    promise: str
    how: str
    how_often: str
    result: str
    broken: list[str]

    @property
    def was_tried(self) -> bool:
        """Whether this machine had what it takes for all of it."""
        return NOT_TRIED not in self.result


Proof = Callable[[bool, Path], Iterator[Row]]
"""Is told whether to try everything, and where it may keep what it did."""


def folder_of_this_code() -> Path:
    """Return where to keep what was tried with the code as it is."""
    return _KEPT / _code()


def _code() -> str:
    """Return a name for the code that is tried: results of other code say nothing."""
    digest = sha256()
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in _SUFFIXES:
                digest.update(path.read_bytes())
    for name in _FILES:
        digest.update((_ROOT / name).read_bytes())
    return digest.hexdigest()[:16]


def _rows(name: str, proof: Proof, *, is_full: bool) -> Iterator[Row]:
    """Yield what a proof shows, from its file if it was done with the same code."""
    size = "full" if is_full else "share"
    file = _KEPT / f"{_code()}-{size}-{name.replace(' ', '-')}.json"
    if file.exists():
        yield from (Row(*row) for row in json.loads(file.read_text()))
        return
    rows = list(proof(is_full, folder_of_this_code()))
    if all(row.was_tried for row in rows):
        file.write_text(json.dumps(rows))
    yield from rows


def tried(proofs: Mapping[str, Proof], *, is_full: bool) -> int:
    """Try everything, print the table, and return the exit status."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    _KEPT.mkdir(parents=True, exist_ok=True)
    table = Table("promise", "how it was tried", "how often", "result", box=None)
    progress, broken = Console(stderr=True), list[str]()
    for number, (name, proof) in enumerate(proofs.items(), start=1):
        progress.print(f"{number} of {len(proofs)}: {name}")
        for row in _rows(name, proof, is_full=is_full):
            table.add_row(row.promise, row.how, row.how_often, row.result)
            broken += [f"{row.promise}: {each}" for each in row.broken]
    # Wide enough to be read where it goes into a file, too.
    Console(width=max(Console().width, _WIDTH)).print(table)
    for line in broken:
        print(f"BROKEN, {line}")
    return 1 if broken else 0
