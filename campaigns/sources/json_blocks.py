"""JSON Lines in blocks: one object a line, each with the fields it likes."""

from collections.abc import Iterator
from typing import Final

import orjson
import polars as pl

from campaigns.sources.blocks import (
    BLOCK_BYTES,
    LONGEST_ROW_BYTES,
    Block,
    Lookahead,
    NumberedRow,
    Place,
    Row,
    RowError,
)

_BYTES_AT_ONCE: Final = BLOCK_BYTES // 4
"""Objects take far more memory than their text."""

_MOST_FIELDS: Final = 100
_PLAIN: Final = frozenset({str, int, float, bool})


def json_blocks(text: Lookahead, row: int) -> Iterator[Block]:
    """Yield the file's objects, from row number `row` + 1 on."""
    while data := text.peek(_BYTES_AT_ONCE):
        is_last = len(data) < _BYTES_AT_ONCE
        cut = len(data) if is_last else data.rfind(b"\n") + 1
        text.skip(cut)
        lines = data[:cut].split(b"\n") if cut else [_endless_line(text)]
        filled = (line for line in lines if line.strip())
        listed = [(row + n, parse(line)) for n, line in enumerate(filled, start=1)]
        end = Place(text.offset, row + len(listed))
        yield Block(row + 1, end, _frame(listed), listed)
        row = end.row


def _endless_line(text: Lookahead) -> bytes:
    beginning = text.line()
    text.rest_of_line(beginning)
    return beginning


def parse(line: bytes) -> Row | RowError:
    """Return the object that a line holds."""
    shown = line[:200].decode("utf-8", "backslashreplace").strip()
    if len(line) >= LONGEST_ROW_BYTES:
        return RowError("", shown, f"is longer than {LONGEST_ROW_BYTES:,} bytes")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return RowError("", shown, f"is not valid JSON: {error}")
    if not isinstance(value, dict):
        return RowError("", shown, "is not a JSON object")
    return value


def _frame(listed: list[NumberedRow]) -> pl.DataFrame | None:
    """Return the objects as a frame, if each field holds one kind of plain value."""
    objects = [value for _, value in listed if not isinstance(value, RowError)]
    names = {name: None for each in objects for name in each}
    if len(objects) < len(listed) or not 0 < len(names) <= _MOST_FIELDS:
        return None
    columns = []
    for name in names:
        values = [each.get(name) for each in objects]
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1 or not kinds <= _PLAIN:
            return None
        try:
            columns.append(pl.Series(name, values))
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return None
    return pl.DataFrame(columns)
