"""The usage lake: one Parquet file a day, each replaced as a whole.

A day's file holds every event of that UTC day, ordered by all its columns, so the same
events make the same bytes. An event is known by its id or, where the source has none,
by all its fields: of equal ones a day keeps as many as the file that had most, so
importing a file again changes nothing, and a genuine repeat is kept. A file of a day is
written beside and moved into place, so a kill leaves either the old day or the new one.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

_MOMENT: Final = pl.Datetime("us", "UTC")
COLUMNS: Final[dict[str, Any]] = {
    "account": pl.String,
    "at": _MOMENT,
    "feature": pl.String,
    "contact": pl.String,
    "count": pl.Int64,
    "outcome": pl.String,
    "properties": pl.String,
    "id": pl.String,
}
SCHEMA: Final = pl.Schema(COLUMNS)
_FIELDS: Final = tuple(COLUMNS)


class Span(NamedTuple):
    """A time of an account, from a moment up to before another."""

    account: str
    since: datetime
    until: datetime


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

    def begin_merging(self, name: str) -> str:
        """Note whose events are brought in from now on; return whose came last."""
        note = self.root / ".merging"
        last = note.read_text("utf-8") if note.exists() else ""
        beside = note.with_suffix(".new")
        beside.write_text(name, "utf-8")
        beside.replace(note)
        return last

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
        events = _scan(wanted)
        events = events.filter(pl.col("at") < before)
        return events if since is None else events.filter(pl.col("at") >= since)

    def scan_all(self) -> pl.LazyFrame:
        """Return every event."""
        return _scan([self.path_of(day) for day in self.days()])

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

    def used_in(self, spans: Sequence[Span]) -> set[tuple[str, datetime]]:
        """Return the accounts and ends of those spans in which there was any use."""
        if not spans:
            return set()
        found = self._in_spans(spans).select("account", "until").unique()
        return set(found.collect(engine="streaming").iter_rows())

    def features_used(self, spans: Sequence[Span]) -> dict[tuple[str, datetime], int]:
        """Return how many features accounts used that worked, each in its own span.

        Returns:
            By account and the span's end; one that used none is not there.
        """
        if not spans:
            return {}
        frame = (
            self._in_spans(spans)
            .filter(pl.col("outcome").ne_missing("failed"))
            .group_by("account", "until")
            .agg(pl.col("feature").n_unique())
        )
        rows = frame.collect(engine="streaming").iter_rows()
        return {(account, until): count for account, until, count in rows}

    def _in_spans(self, spans: Sequence[Span]) -> pl.LazyFrame:
        """Return the events in spans of which there is one or more."""
        moments = pl.LazyFrame(
            spans,
            schema={"account": pl.String, "since": _MOMENT, "until": _MOMENT},
            orient="row",
        )
        first = min(each.since for each in spans)
        return (
            self.scan(before=max(each.until for each in spans), since=first)
            .join(moments, on="account")
            .filter(
                pl.col("at") >= pl.col("since"),
                pl.col("at") < pl.col("until"),
            )
        )


def _scan(files: Sequence[Path]) -> pl.LazyFrame:
    if not files:
        return pl.LazyFrame(schema=SCHEMA)
    # Files of the first version had columns that are made when they are needed now.
    return pl.scan_parquet(
        list(files), schema=SCHEMA, extra_columns="ignore", glob=False
    )


def merge_day(lake: UsageLake, day: date, new: pl.DataFrame, *, gone: pl.Series) -> int:
    """Bring new events of a day into its file; return how many were taken.

    An event that is there already, with equal values, is not.

    Args:
        lake: The lake.
        day: The day.
        new: Events of that day, ordered by all columns; no id stands in it twice.
        gone: Ids of events that now lie on another day.
    """
    path = lake.path_of(day)
    if not path.exists():
        if not new.is_empty():
            _replace(path, new)
        return new.height
    stored = _scan([path]).collect()
    taken = _numbered(new).join(
        _numbered(stored), on=[*_FIELDS, "number"], how="anti", nulls_equal=True
    )
    left = pl.concat([taken["id"].drop_nulls(), gone])
    kept = stored.filter(
        pl.col("id").is_in(left.implode()).fill_null(value=False).not_()
    )
    if not taken.is_empty() or kept.height < stored.height:
        _replace(path, pl.concat([kept, taken.select(_FIELDS)]).sort(_FIELDS))
    return taken.height


def _numbered(events: pl.DataFrame) -> pl.DataFrame:
    """Number equal events, so that genuine repeats stay apart."""
    number = pl.int_range(pl.len(), dtype=pl.UInt32).over(_FIELDS)
    return events.with_columns(number=number)


def _replace(path: Path, events: pl.DataFrame) -> None:
    if events.is_empty():
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    write_durably(events, beside, compression="zstd", compression_level=1)
    beside.replace(path)


def write_durably(events: pl.DataFrame, path: Path, **options: Any) -> None:  # noqa: ANN401
    """Write a Parquet file that outlives a power cut.

    Raises:
        OSError: There is no room for it, or the disk failed.
    """
    try:
        events.write_parquet(path, **options)
    except pl.exceptions.ComputeError as error:
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def newest_event(lake: UsageLake, *, before: datetime) -> datetime | None:
    """Return the time of the newest event before a moment, or None."""
    for day in reversed([day for day in lake.days() if day <= before.date()]):
        at = pl.col("at")
        newest = _scan([lake.path_of(day)]).filter(at < before)
        found: datetime | None = newest.select(at.max()).collect().item()
        if found is not None:
            return found
    return None
