"""The rows of a usage file, on their way into the lake.

Clean blocks are taken as columns, the rest row by row; all is staged with a journal, so
that a killed import goes on where it was; then the days are merged.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from campaigns.domain.records import EARLIEST, Usage
from campaigns.errors import InputError
from campaigns.sources.blocks import START, Block, Place, RowError
from campaigns.sources.rejects import RejectsFile
from campaigns.sources.usage_frames import UsageFrames, canonical_properties
from campaigns.steps.import_file import Import
from campaigns.store.merging import Repeats, find_repeats, merge
from campaigns.store.staging import STAGED, Staging, forget, forget_older

_KEPT_UNFINISHED: Final = timedelta(days=30)


def take(work: Import, *, rejects_file: Path) -> InputError | None:
    """Take a file's good rows, list the others; return the damage it ended at."""
    lake = work.place.lake
    with lake.writing():
        folder = lake.root / ".staging" / work.file_hash[:16]
        staging = Staging(folder / work.key())
        try:
            note = staging.note
            path = Path(note.get("rejects", rejects_file))
            keep_bytes = note.get("rejects_bytes", 0)
            with RejectsFile(path, keep_bytes=keep_bytes) as rejects:
                work.open_rejects(rejects, rejected=note.get("rejected", 0))
                damage = _stage(work, staging, rejects)
                repeats = find_repeats(staging, lake)
                _reject_clashes(work, repeats)
            _merge(work, staging, repeats)
        except BaseException:
            staging.close()
            raise
        staging.close()
        # With what earlier tries left that read the file in another way.
        for each in folder.iterdir():
            forget(each)
        folder.rmdir()
        forget_older(folder.parent, before=work.place.clock() - _KEPT_UNFINISHED)
    return damage


def _stage(work: Import, staging: Staging, rejects: RejectsFile) -> InputError | None:
    frames = UsageFrames(
        work.mapper,
        work.mapping,
        accounts=work.accounts,
        lookups=work.lookups,
        not_before=EARLIEST,
        not_after=work.not_after,
    )
    start = Place(*staging.note["end"]) if staging.note else START
    try:
        for block in work.blocks(start):
            events = _events_of(work, block, frames)
            note = {
                "end": list(block.end),
                "rejected": work.result.counts.rejected,
                "rejects": str(rejects.path),
                "rejects_bytes": rejects.written_bytes,
            }
            staging.add(events, note=note)
    except InputError as error:
        return error
    return None


def _events_of(work: Import, block: Block, frames: UsageFrames) -> pl.DataFrame:
    if block.frame is None:
        return _to_frame(work.good_rows(block.rows()))
    events, others = frames.sort_out(block.frame)
    events = events.with_columns(row=pl.col("row") + block.first)
    if not others.any():
        return events
    rest = _to_frame(work.good_rows(block.rows_where(others)))
    if rest.is_empty() or events.is_empty():
        return rest if events.is_empty() else events
    both = pl.concat([events.select(STAGED.names()), rest])
    return both.sort("row")


def _to_frame(events: Iterable[tuple[int, Usage]]) -> pl.DataFrame:
    rows = [_values(number, event) for number, event in events]
    return pl.DataFrame(rows, schema=STAGED, orient="row")


def _values(number: int, event: Usage) -> tuple[Any, ...]:
    return (
        event.account,
        event.at,
        event.feature,
        event.contact,
        event.count,
        event.outcome.value,
        canonical_properties(event.properties),
        event.id,
        number,
    )


def _reject_clashes(work: Import, repeats: Repeats) -> None:
    for clash in () if work.mapper.is_distinct else repeats.clashes:
        reason = "stands earlier in this file with other values"
        work.reject(clash.row, RowError("id", clash.id, reason))


def _merge(work: Import, staging: Staging, repeats: Repeats) -> None:
    rows = sum(staging.sizes().values())
    taken = 0
    for more in merge(staging, work.place.lake, repeats):
        taken += more
        work.advance(
            "merging", len(staging.merged) / max(1, len(staging.sizes())), rows
        )
    clashes = 0 if work.mapper.is_distinct else len(repeats.clashes)
    unchanged = rows - taken - clashes
    work.result.add(taken=taken, unchanged=unchanged)
