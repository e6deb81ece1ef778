"""Parquet in blocks: clean as they are, but for times that no calendar of ours has."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from campaigns.sources.blocks import Block, Place

_ROWS_AT_ONCE: Final = 500_000
_DAY_SECONDS: Final = 86_400
_FIRST_SECOND: Final = -62_104_060_800  # 0002-01-01: also in a zone, a year of Python's
_LAST_SECOND: Final = 253_370_764_800  # 9999-01-01
_PER_SECOND: Final = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def parquet_blocks(frame: pl.LazyFrame, row: int) -> Iterator[Block]:
    """Yield what follows the first `row` rows."""
    rest: Any = frame.slice(row)
    for piece in rest.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True):
        first = row + 1
        row += piece.height
        yield Block(first, Place(row, row), _with_times_as_text(piece))


def _with_times_as_text(piece: pl.DataFrame) -> pl.DataFrame:
    """Return a piece whose times can all be read, one by one too; not those in structs.

    A column with a time before year 1, or after 9999, is given as text: so its row is
    rejected by itself, with the number that stands there.
    """
    for column in piece.iter_columns():
        if isinstance(column.dtype, pl.Datetime | pl.Date):
            raw = column.to_physical()
            is_known = raw.is_between(*_range_of(column.dtype)) | raw.is_null()
            if not is_known.all():
                known = column.set(~is_known, None).cast(pl.String)
                text = known.zip_with(is_known, raw.cast(pl.String))
                piece = piece.with_columns(text.alias(column.name))
    return piece


def _range_of(dtype: pl.Datetime | pl.Date) -> tuple[int, int]:
    """Return the first and last value of a type that Python has, as numbers."""
    if isinstance(dtype, pl.Date):
        return _FIRST_SECOND // _DAY_SECONDS, _LAST_SECOND // _DAY_SECONDS
    per_second = _PER_SECOND[dtype.time_unit]
    least, most = -(2**63), 2**63 - 1
    return (
        max(least, _FIRST_SECOND * per_second),
        min(most, _LAST_SECOND * per_second),
    )
