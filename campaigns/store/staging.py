"""Usage on its way into the lake: blocks of one file, and a journal of how far it is.

A block is written, then its line in the journal: after a kill the import goes on behind
the last whole line. When all is staged, `merging` brings it into the lake, some days at
a time, each with its line too. Nothing in memory grows with the file.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import polars as pl

from campaigns.store.usage import COLUMNS, write_durably

STAGED: Final = pl.Schema({**COLUMNS, "row": pl.Int64})
_JOURNAL: Final = "journal.jsonl"
_ROW_GROUP: Final = 16_384


class _Piece(NamedTuple):
    """A staged block: its file, and how many rows of each day it holds, in order."""

    path: Path
    days: dict[date, int]


class Staging:
    """The staged blocks of one file.

    Args:
        folder: Where they are; what an earlier import of the same file left is used.

    Attributes:
        name: By which the lake knows whose events came last.
        note: What the importer wrote beside the last staged block; empty at first.
        merged: The days that are in the lake, and how many rows of each were taken.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"{folder.parent.name}/{folder.name}"
        lines = list(_sound_lines(folder / _JOURNAL))
        blocks = [line for line in lines if "days" in line]
        self._pieces = [
            _Piece(
                folder / line["file"],
                {date.fromisoformat(day): n for day, n in line["days"].items()},
            )
            for line in blocks
        ]
        self.note: dict[str, Any] = blocks[-1]["note"] if blocks else {}
        self.merged: dict[date, int] = {
            date.fromisoformat(line["merged"]): line["taken"]
            for line in lines
            if "merged" in line
        }
        self._journal = (folder / _JOURNAL).open("ab")

    def add(self, events: pl.DataFrame, *, note: dict[str, Any]) -> None:
        """Stage a block.

        Args:
            events: The columns of STAGED.
            note: What the importer needs to go on behind this block; comes back as
                `note` after a kill.
        """
        day = pl.col("at").dt.date()
        events = events.select(STAGED.names())
        if not events["at"].is_sorted():
            events = events.sort(day, maintain_order=True)
        # The days of an ordered block are in order, so a day is one slice of it.
        counted = events.select(day=day).group_by("day", maintain_order=True).len()
        path = self._folder / f"{len(self._pieces):06}.parquet"
        write_durably(
            events,
            path,
            compression="lz4",
            row_group_size=_ROW_GROUP,
            statistics=False,
        )
        days = dict(counted.iter_rows())
        self._pieces.append(_Piece(path, days))
        self.note = note
        # What a power cut takes of the journal is staged again.
        self._write(
            {
                "file": path.name,
                "days": {day.isoformat(): n for day, n in days.items()},
                "note": note,
            }
        )

    def note_merged(self, day: date, taken: int) -> None:
        """Record that a day is in the lake, and how many of its rows were taken."""
        self._write({"merged": day.isoformat(), "taken": taken})
        self.merged[day] = taken

    def sizes(self) -> dict[date, int]:
        """Return how many rows of each day are staged."""
        sizes: Counter[date] = Counter()
        for piece in self._pieces:
            sizes.update(piece.days)
        return dict(sizes)

    def scan(self) -> pl.LazyFrame:
        """Return all that is staged."""
        paths = [piece.path for piece in self._pieces]
        return (
            pl.scan_parquet(paths, glob=False) if paths else pl.LazyFrame(schema=STAGED)
        )

    def of_days(self, first: date, last: date) -> pl.DataFrame:
        """Return what is staged of some days."""
        found = [pl.DataFrame(schema=STAGED)]
        for path, days in self._pieces:
            before = sum(n for day, n in days.items() if day < first)
            inside = sum(n for day, n in days.items() if first <= day <= last)
            if inside:
                piece = pl.scan_parquet(path, glob=False).slice(before, inside)
                found.append(piece.collect())
        return pl.concat(found, rechunk=True)

    def _write(self, line: dict[str, Any]) -> None:
        self._journal.write(orjson.dumps(line) + b"\n")
        self._journal.flush()

    def close(self) -> None:
        """Keep what is staged for a later try."""
        self._journal.close()


def forget(folder: Path) -> None:
    """Delete a staging folder, its journal first: what is left then says nothing."""
    (folder / _JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder)


def forget_older(root: Path, *, before: datetime) -> None:
    """Delete what imports left that were broken off and never taken up again."""
    for folder in filter(Path.is_dir, root.glob("*/*")):
        changed = max(each.stat().st_mtime for each in (folder, *folder.iterdir()))
        if datetime.fromtimestamp(changed, UTC) < before:
            forget(folder)
            if not any(folder.parent.iterdir()):
                folder.parent.rmdir()


def _sound_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the journal's lines as far as they are whole and their blocks are there.

    What follows is removed from the file: it is staged again.
    """
    if not path.exists():
        return
    text = path.read_bytes()
    sound = 0
    for line in text.splitlines(keepends=True):
        try:
            found = orjson.loads(line) if line.endswith(b"\n") else None
        except orjson.JSONDecodeError:
            break
        if found is None or not (path.parent / found.get("file", ".")).exists():
            break
        sound += len(line)
        yield found
    if sound < len(text):
        path.write_bytes(text[:sound])
