"""CSV in blocks. A block counts as clean only where Polars and RFC 4180 must agree.

Python's csv module reads the rest, one record at a time, and says where the next one
begins: so a quote that never closes costs the line it stands on, not those after it.
"""

import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from campaigns.errors import InputError
from campaigns.sources.blocks import (
    BLOCK_BYTES,
    LONGEST_ROW_BYTES,
    SMALLEST_BLOCK_BYTES,
    Block,
    Lookahead,
    NumberedRow,
    Place,
    Row,
    RowError,
)

_BOM: Final = b"\xef\xbb\xbf"
_MOST_LINES: Final = 1_000
_TRIES: Final = 50


def csv_blocks(
    text: Lookahead,
    columns: Sequence[str],
    delimiter: str,
    row: int,
    *,
    largest: int = BLOCK_BYTES,
    smallest: int = SMALLEST_BLOCK_BYTES,
) -> Iterator[Block]:
    """Yield what follows the header, from row number `row` + 1 on.

    Args:
        text: What is behind the header.
        columns: The header.
        delimiter: Between fields.
        row: How many rows were before.
        largest: A block's size in bytes, where all is clean.
        smallest: And around what is not.
    """
    csv.field_size_limit(LONGEST_ROW_BYTES)
    size = largest
    while data := text.peek(size):
        cut = _cut(data, is_last=len(data) < size)
        frame = _clean_frame(data[:cut], columns, delimiter.encode()) if cut else None
        if frame is not None:
            text.skip(cut)
            end = Place(text.offset, row + frame.height)
            yield Block(row + 1, end, frame)
            size = min(largest, size * 2)
        elif len(data) > smallest:
            size = max(smallest, min(size, len(data)) // 4)
            continue
        else:
            until = text.offset + len(data)
            listed: list[NumberedRow] = []
            damage: Exception | None = None
            try:
                listed.extend(records(text, columns, delimiter, row, until))
            except (OSError, EOFError, UnicodeError, zlib.error, InputError) as error:
                damage = error
            end = Place(text.offset, row + len(listed))
            yield Block(row + 1, end, listed=listed)
            if damage is not None:
                raise damage
        row = end.row


def _cut(data: bytes, *, is_last: bool) -> int:
    """Return where the last line ends that no quoted field reaches over, or 0."""
    if is_last:
        return len(data)
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    cut = len(data)
    for _ in range(_TRIES):
        cut = data.rfind(b"\n", 0, cut) + 1
        if cut == 0 or data.count(b'"', 0, cut) % 2 == 0:
            return cut
        cut -= 1
    return 0


def _clean_frame(
    data: bytes, columns: Sequence[str], delimiter: bytes
) -> pl.DataFrame | None:
    """Return the rows of `data` as text, or None where they are not clean."""
    unquoted = _without_quoted_fields(data, delimiter)
    if b'"' in unquoted or not _has_plain_lines(data):
        return None
    rows = unquoted.count(b"\n") + (not unquoted.endswith(b"\n"))
    # Too many fields in one row are an error below, so none can make up for too few.
    if unquoted.count(delimiter) != rows * (len(columns) - 1):
        return None
    try:
        frame = pl.read_csv(
            io.BytesIO(data),
            has_header=False,
            separator=delimiter.decode(),
            schema=dict.fromkeys(columns, pl.String),
            extra_columns="raise",
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != rows or _has_long_row(frame):
        return None
    if data.count(b"\n") - rows >= _MOST_LINES - 1 and _has_tall_row(frame):
        return None
    return frame


def _has_long_row(frame: pl.DataFrame) -> bool:
    """Say whether a row may be too long: one that is read alone then decides."""
    length = pl.sum_horizontal(pl.all().str.len_bytes())
    # Each quote in a field stands there twice.
    longest = LONGEST_ROW_BYTES // 2 - 3 * frame.width
    return bool(frame.select((length > longest).any()).item())


def _has_tall_row(frame: pl.DataFrame) -> bool:
    """Say whether a row has so many lines that one read alone is no row."""
    lines = 1 + pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))
    return bool(frame.select((lines >= _MOST_LINES).any()).item())


def _without_quoted_fields(data: bytes, delimiter: bytes) -> bytes:
    if b'"' not in data:
        return data
    edge = re.escape(delimiter)
    quoted = rb'(?:(?<=[%b\n])|\A)"[^"]*(?:""[^"]*)*"(?=[%b\r\n]|\Z)' % (edge, edge)
    return re.sub(quoted, b"", data)


def _has_plain_lines(data: bytes) -> bool:
    """Say whether lines end alike, none is blank, and nothing is there to trip on."""
    if data.startswith((b"\n", b"\r", _BOM)) or b"\0" in data or b"\n\n" in data:
        return False
    if b"\r" not in data:
        return True
    return data.count(b"\r") == data.count(b"\r\n") and b"\n\r\n" not in data


def records(
    text: Lookahead, columns: Sequence[str], delimiter: str, row: int, until: int
) -> Iterator[NumberedRow]:
    """Yield the rows that begin before the offset `until`, read one by one."""
    waiting: list[bytes] = []
    while text.offset < until or waiting:
        lines = _Lines(text, waiting)
        try:
            values = next(csv.reader(lines, delimiter=delimiter, strict=True), None)
        except (csv.Error, _EndlessRecordError) as error:
            # Only the line it began on is lost: what follows is read again.
            waiting = [*lines.read[1:], *lines.waiting]
            row += 1
            yield row, RowError("", lines.shown(), f"is not valid CSV: {error}")
            continue
        waiting = lines.waiting
        if values is None:
            return
        if not values:  # a blank line is no row
            continue
        row += 1
        yield row, _row(values, columns)


class _EndlessRecordError(Exception):
    """A quoted field goes on for so long that its quote was never meant."""


class _Lines:
    """Lines for one record: those that wait first, then those of the file."""

    def __init__(self, text: Lookahead, waiting: list[bytes]) -> None:
        self._text = text
        self.waiting = list(waiting)
        self.read: list[bytes] = []
        self._bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.read) >= _MOST_LINES or self._bytes > LONGEST_ROW_BYTES:
            raise _EndlessRecordError("a quote is opened here and does not close")
        line = self.waiting.pop(0) if self.waiting else self._text.line()
        if not line:
            raise StopIteration
        if len(line) >= LONGEST_ROW_BYTES:
            self._text.rest_of_line(line)
            self.read.append(line[:200] + b"\n")
            raise _EndlessRecordError(f"is longer than {LONGEST_ROW_BYTES:,} bytes")
        self.read.append(line)
        self._bytes += len(line)
        # Bytes that are not UTF-8 become lone surrogates, to be found value by value.
        return line.decode("utf-8", "surrogateescape")

    def shown(self) -> str:
        """Return the beginning of the record's first line."""
        first = self.read[0] if self.read else b""
        return first[:200].decode("utf-8", "backslashreplace").strip()


def _row(values: list[str], columns: Sequence[str]) -> Row | RowError:
    if len(values) != len(columns):
        reason = f"has {len(values)} fields where the header has {len(columns)}"
        return RowError("", "", reason)
    for column, value in zip(columns, values, strict=True):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                shown = value.encode("utf-8", "surrogateescape").decode(
                    "utf-8", "backslashreplace"
                )
                reason = (
                    "is not valid UTF-8; if the file is in another encoding, name it "
                    'in a mapping file: encoding = "cp1252"'
                )
                return RowError(column, shown, reason)
    return dict(zip(columns, values, strict=True))
