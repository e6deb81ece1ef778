"""The usage lake: one Parquet file a day, each replaced as a whole.

A day's file holds every event of that UTC day, ordered, so the same events make the
same bytes. An event is known by its id or, where the source has none, by all its fields
and the number of the equal row within its file: importing a file again changes nothing,
and a genuine repeat is kept. A file of a day is written beside and moved into place, so
a kill leaves either the old day or the new one.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import polars as pl

from campaigns.domain.records import Usage
from campaigns.domain.values import ImportCounts

_MOMENT: Final = pl.Datetime("us", "UTC")
_COLUMNS: Final[dict[str, Any]] = {
    "account": pl.String,
    "at": _MOMENT,
    "feature": pl.String,
    "contact": pl.String,
    "count": pl.Int64,
    "outcome": pl.String,
    "properties": pl.String,
    "id": pl.String,
    "key": pl.Binary,
    "ordinal": pl.UInt32,
    "content": pl.Binary,
}
SCHEMA: Final = pl.Schema(_COLUMNS)
_STAGED: Final = pl.Schema({**_COLUMNS, "row": pl.Int64})
_IDENTITY: Final = ("key", "ordinal")


@dataclass(frozen=True, slots=True)
class UsageLake:
    """The folder of the day files."""

    root: Path

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let one import at a time change the lake; another waits."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def days(self) -> list[date]:
        """Return the days that have a file, in order."""
        names = (path.stem for path in self.root.glob("????/????-??-??.parquet"))
        return sorted(date.fromisoformat(name) for name in names)

    def path_of(self, day: date) -> Path:
        """Return where the file of `day` is or would be."""
        return self.root / f"{day.year:04}" / f"{day.isoformat()}.parquet"

    def scan(self, *, before: datetime, since: datetime | None = None) -> pl.LazyFrame:
        """Return the events at or after `since` and strictly before `before`.

        Files of other days are not even opened.
        """
        wanted = [
            self.path_of(day)
            for day in self.days()
            if day <= before.date() and (since is None or day >= since.date())
        ]
        if not wanted:
            return pl.LazyFrame(schema=SCHEMA)
        events = pl.scan_parquet(wanted, schema=SCHEMA)
        events = events.filter(pl.col("at") < before)
        return events if since is None else events.filter(pl.col("at") >= since)

    def last_used(self, *, before: datetime) -> dict[str, datetime]:
        """Return each account's last use before a moment."""
        frame = self.scan(before=before).group_by("account").agg(pl.col("at").max())
        return dict(frame.collect(engine="streaming").iter_rows())

    def first_used_after(
        self, churned_at: Mapping[str, datetime], *, before: datetime
    ) -> dict[str, datetime]:
        """Return the first use at or after each account's own moment."""
        if not churned_at:
            return {}
        moments = pl.LazyFrame(
            {"account": list(churned_at), "churned_at": list(churned_at.values())},
            schema={"account": pl.String, "churned_at": _MOMENT},
        )
        frame = (
            self.scan(before=before, since=min(churned_at.values()))
            .join(moments, on="account")
            .filter(pl.col("at") >= pl.col("churned_at"))
            .group_by("account")
            .agg(pl.col("at").min())
        )
        return dict(frame.collect(engine="streaming").iter_rows())


@dataclass(frozen=True, slots=True)
class Clash:
    """A staged row whose id stood earlier in the same file with other values."""

    row: int
    id: str


class Staging:
    """Validated rows of one file on their way into the lake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces = 0
        folder.mkdir(parents=True, exist_ok=True)
        # Left by an import of the same file that was killed.
        for stale in folder.glob("*.parquet"):
            stale.unlink()

    def add(self, rows: Sequence[tuple[int, Usage]]) -> None:
        """Keep `rows`, each with its number in the file."""
        frame = pl.DataFrame(
            [_staged(number, event) for number, event in rows],
            schema=_STAGED,
            orient="row",
        )
        frame.write_parquet(self._folder / f"{self._pieces:06}.parquet")
        self._pieces += 1

    def read(self) -> pl.DataFrame:
        """Return everything staged, in the file's order."""
        if not self._pieces:
            return pl.DataFrame(schema=_STAGED)
        return pl.read_parquet(self._folder / "*.parquet").sort("row")

    def remove(self) -> None:
        """Delete the staging folder."""
        for piece in self._folder.glob("*.parquet"):
            piece.unlink()
        self._folder.rmdir()


def _staged(number: int, event: Usage) -> tuple[object, ...]:
    properties = json.dumps(event.properties, sort_keys=True)
    fields = (
        event.account,
        event.at,
        event.feature,
        event.contact,
        event.count,
        event.outcome.value,
        properties,
    )
    content = _digest(*fields)
    key = content if event.id is None else _digest("id", event.id)
    return (*fields, event.id, key, 0, content, number)


def _digest(*parts: object) -> bytes:
    text = "\x1f".join("\x00" if part is None else str(part) for part in parts)
    return blake2b(text.encode(), digest_size=16).digest()


def merge(lake: UsageLake, staged: pl.DataFrame) -> ImportCounts:
    """Bring staged rows without clashes into the lake, day by day.

    A row that is there already, or repeats an id with equal values, is unchanged.
    """
    numbered = staged.with_columns(
        # Equal rows without an id are numbered: genuine repeats stay apart.
        ordinal=pl.when(pl.col("id").is_null())
        .then(pl.int_range(pl.len(), dtype=pl.UInt32).over("key"))
        .otherwise(pl.lit(0, pl.UInt32)),
        day=pl.col("at").dt.date(),
    ).unique(subset=_IDENTITY, keep="first", maintain_order=True)
    days = numbered["day"].unique().to_list()
    taken = numbered.join(
        _identities(lake, days), on=[*_IDENTITY, "content"], how="anti"
    )
    # Of all staged rows: a kill may have come after the new day and before the old.
    moved = _moved_between_days(lake, numbered)
    nothing = taken.clear()
    by_day = taken.partition_by("day", as_dict=True)
    for day in sorted({*moved, *(day for (day,) in by_day)}):
        new = by_day.get((day,), nothing).select(SCHEMA.names())
        _rewrite(lake.path_of(day), new, gone=moved.get(day))
    return ImportCounts(taken=taken.height, unchanged=staged.height - taken.height)


def _identities(lake: UsageLake, days: Iterable[date]) -> pl.DataFrame:
    """Return what identifies the stored events of `days`."""
    columns = [*_IDENTITY, "content"]
    files = [path for day in days if (path := lake.path_of(day)).exists()]
    if not files:
        return pl.DataFrame(schema=SCHEMA).select(columns)
    return pl.scan_parquet(files, schema=SCHEMA).select(columns).collect()


def find_clashes(staged: pl.DataFrame) -> list[Clash]:
    """Return rows whose id stood before in the file with other values."""
    first = pl.col("content").first().over("key")
    clashing = staged.filter(pl.col("id").is_not_null() & (pl.col("content") != first))
    return [Clash(row, id_) for row, id_ in clashing.select("row", "id").iter_rows()]


def without(staged: pl.DataFrame, clashes: Sequence[Clash]) -> pl.DataFrame:
    """Return the staged rows that do not clash."""
    return staged.filter(~pl.col("row").is_in([clash.row for clash in clashes]))


def _moved_between_days(
    lake: UsageLake, staged: pl.DataFrame
) -> dict[date, pl.DataFrame]:
    """Return the keys, by day, of stored events whose new row lies on another day."""
    named = staged.filter(pl.col("id").is_not_null()).select("key", "day")
    files = [lake.path_of(day) for day in lake.days()]
    if named.is_empty() or not files:
        return {}
    stored = pl.scan_parquet(files, schema=SCHEMA).select(
        "key", stored_day=pl.col("at").dt.date()
    )
    moved = (
        stored.join(named.lazy(), on="key")
        .filter(pl.col("stored_day") != pl.col("day"))
        .select("key", "stored_day")
        .collect(engine="streaming")
    )
    return {
        day: part.select("key")
        for (day,), part in moved.partition_by("stored_day", as_dict=True).items()
    }


def _rewrite(path: Path, new: pl.DataFrame, *, gone: pl.DataFrame | None) -> None:
    """Replace a day's file by one with `new` events and without those that went."""
    if path.exists():
        stored = pl.read_parquet(path, schema=SCHEMA)
        if gone is not None:
            stored = stored.join(gone, on="key", how="anti")
        new = pl.concat([stored.join(new, on=_IDENTITY, how="anti"), new])
    _replace(path, new.sort("account", "at", "feature", "key", "ordinal"))


def _replace(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    frame.write_parquet(beside, compression="zstd")
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)


def newest_event(lake: UsageLake, *, before: datetime) -> datetime | None:
    """Return the time of the newest event before a moment, or None."""
    for day in reversed([day for day in lake.days() if day <= before.date()]):
        at = pl.col("at")
        newest = pl.scan_parquet(lake.path_of(day)).filter(at < before)
        found: datetime | None = newest.select(at.max()).collect().item()
        if found is not None:
            return found
    return None
