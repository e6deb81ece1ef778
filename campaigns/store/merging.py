"""Staged usage is brought into the lake: first what ids tell, then day by day."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from campaigns.store.staging import Staging
from campaigns.store.usage import SCHEMA, UsageLake, merge_day

_ROWS_OF_A_GROUP: Final = 500_000
_IDS_AT_ONCE: Final = 4_000_000
_WRITERS: Final = 2
_ID: Final = pl.col("id")
_DAY: Final = pl.col("at").dt.date().alias("day")


class Clash(NamedTuple):
    """A row whose id stood earlier in the same file with other values."""

    row: int
    id: str


@dataclass(slots=True)
class Repeats:
    """What the ids of a file tell.

    Attributes:
        rows: Numbers of the rows whose id stood earlier in the file.
        clashes: Those of them that have other values.
        gone: `id` and `day` of stored events that now lie on another day.
    """

    rows: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Int64))
    clashes: list[Clash] = field(default_factory=list)
    gone: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"id": pl.String, "day": pl.Date})
    )


def find_repeats(staging: Staging, lake: UsageLake) -> Repeats:
    """Return what the ids of a staged file tell, looking at a share of them at a time.

    Of rows with one id the first in the file counts.
    """
    found = Repeats()
    ids = staging.scan().filter(_ID.is_not_null())
    if ids.head(1).collect().is_empty():
        return found
    shares = 1 + sum(staging.sizes().values()) // _IDS_AT_ONCE
    for share in range(shares):
        mine = _ID.hash() % shares == share
        known = ids.filter(mine).select("id", "row", _DAY).sort("row").collect()
        first = known.unique("id", keep="first", maintain_order=True)
        again = known.join(first, on="row", how="anti")
        if not again.is_empty():
            whole = ids.filter(mine).join(
                again.select("id").lazy(), on="id", how="semi"
            )
            found.clashes += _clashes(whole.sort("row").collect())
        found.rows = pl.concat([found.rows, again["row"]])
        stored = lake.scan_all().filter(mine).select("id", _DAY)
        moved = stored.join(first.lazy().select("id", now="day"), on="id").filter(
            pl.col("day") != pl.col("now")
        )
        gone = moved.select("id", "day").collect(engine="streaming")
        found.gone = pl.concat([found.gone, gone])
    return found


def _clashes(rows: pl.DataFrame) -> list[Clash]:
    """Return those of the ordered rows that differ from the first of their id."""
    first = rows.unique("id", keep="first", maintain_order=True)
    others = rows.join(first, on=SCHEMA.names(), how="anti", nulls_equal=True)
    return [Clash(row, id_) for row, id_ in others.select("row", "id").iter_rows()]


def merge(staging: Staging, lake: UsageLake, repeats: Repeats) -> Iterator[int]:
    """Bring what is staged into the lake; yield how many rows were taken, by and by.

    Days that were merged before a kill are not looked at again, unless another import
    changed the lake since.
    """
    if lake.begin_merging(staging.name) != staging.name:
        staging.merged.clear()
    yield sum(staging.merged.values())
    for group in _groups(staging, repeats.gone):
        events = staging.of_days(group[0], group[-1])
        if len(repeats.rows):
            events = events.filter(~pl.col("row").is_in(repeats.rows.implode()))
        for day, taken in _merge_days(lake, group, events, repeats.gone):
            staging.note_merged(day, taken)
            yield taken


def _groups(staging: Staging, gone: pl.DataFrame) -> Iterator[list[date]]:
    """Yield the days to be written, in order, as many at a time as fit into memory."""
    sizes = dict.fromkeys(gone["day"].unique(), 0) | staging.sizes()
    group: list[date] = []
    rows = 0
    for day in sorted(sizes.keys() - staging.merged.keys()):
        if group and rows + sizes[day] > _ROWS_OF_A_GROUP:
            yield group
            group, rows = [], 0
        group.append(day)
        rows += sizes[day]
    if group:
        yield group


def _merge_days(
    lake: UsageLake, group: Sequence[date], events: pl.DataFrame, gone: pl.DataFrame
) -> Iterator[tuple[date, int]]:
    """Merge some days, and yield of each, once it is done, how many rows were taken."""
    # Between the days of a group may lie days that were merged before.
    events = events.filter(_DAY.is_in(group))
    ordered = events.select(SCHEMA.names()).sort(pl.col("at").dt.date(), *SCHEMA)
    sizes = dict(ordered.group_by(_DAY).len().iter_rows())
    starts, start = {}, 0
    for day in group:
        starts[day] = start
        start += sizes.get(day, 0)

    def merge_one(day: date) -> int:
        left = gone.filter(pl.col("day") == day)["id"]
        new = ordered.slice(starts[day], sizes.get(day, 0))
        return merge_day(lake, day, new, gone=left)

    # Writing waits for the disk: meanwhile another day is made ready.
    with ThreadPoolExecutor(_WRITERS) as pool:
        yield from zip(group, pool.map(merge_one, group), strict=True)
