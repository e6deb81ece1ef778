"""A data file in blocks: pieces of whole rows, clean ones as frames.

A clean block is read by Polars as a whole. One that is not (bytes that are not UTF-8, a
row with too many fields, an odd quote) is read row by row, so that each of its rows is
taken or rejected by itself. Both ways give the same rows; clean ones give them faster.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, NamedTuple

import polars as pl

from campaigns.errors import InputError

BLOCK_BYTES: Final = 32 << 20
SMALLEST_BLOCK_BYTES: Final = 128 << 10
LONGEST_ROW_BYTES: Final = 1 << 20
Row = dict[str, Any]
_ROWS_AT_ONCE: Final = 500
_NO_PYTHON_VALUE: Final = (ValueError, OverflowError)


class RowError(ValueError):
    """A row cannot become a record: the column, the value, and why."""

    def __init__(self, column: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = _shown(value)
        self.reason = reason


def _shown(value: object) -> str:
    try:
        return "" if value is None else str(value)
    except (ValueError, RecursionError):
        return "(too large to show)"


NumberedRow = tuple[int, Row | RowError]


class Place(NamedTuple):
    """A place between two rows: bytes (of Parquet: rows) and rows before it."""

    offset: int = 0
    row: int = 0


START: Final = Place()


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole rows of a file, in order.

    Attributes:
        first: The number of the first of them, from 1.
        end: Where the next block begins.
        frame: The rows as they stand in the file, if they are clean.
        listed: The rows one by one, where they are not, or as well.
    """

    first: int
    end: Place
    frame: pl.DataFrame | None = None
    listed: Sequence[NumberedRow] = ()

    def rows(self) -> Iterable[NumberedRow]:
        """Return number and row of each; a RowError in place of an unreadable one."""
        if self.frame is None or self.listed:
            return self.listed
        return enumerate(_rows_of(self.frame), start=self.first)

    def rows_where(self, chosen: pl.Series) -> Iterator[NumberedRow]:
        """Yield the rows of a clean block that a Boolean series chooses."""
        places = chosen.arg_true()
        if self.listed:
            yield from (self.listed[place] for place in places)
        elif self.frame is not None:
            rows = _rows_of(self.frame[places])
            yield from zip((places + self.first).to_list(), rows, strict=True)


def _rows_of(frame: pl.DataFrame) -> Iterator[Row | RowError]:
    """Yield the rows of a frame; a RowError in place of one that Python cannot hold."""
    for piece in frame.iter_slices(_ROWS_AT_ONCE):
        try:
            yield from piece.rows(named=True)
        except (*_NO_PYTHON_VALUE, pl.exceptions.PanicException):
            yield from (_row_of(piece, place) for place in range(piece.height))


def _row_of(frame: pl.DataFrame, place: int) -> Row | RowError:
    try:
        return frame.row(place, named=True)
    except (*_NO_PYTHON_VALUE, pl.exceptions.PanicException):
        return RowError("", "", "holds a time or number that is out of all range")


class Lookahead:
    """Bytes of a stream that can be looked at before they are consumed.

    Where the stream is damaged, its whole lines before the damage are given out first.

    Attributes:
        offset: How many bytes were consumed.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = b""
        self._start = 0
        self._damage: Exception | None = None
        self.offset = 0

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises:
            Exception: What the stream raised, once all before it was consumed.
        """
        if len(self._ahead) - self._start < size and self._damage is None:
            self._fill(size)
        if self._damage is not None and self._start == len(self._ahead):
            raise self._damage
        return self._ahead[self._start : self._start + size]

    def _fill(self, size: int) -> None:
        pieces = [self._ahead[self._start :]]
        missing = size - len(pieces[0])
        try:
            while missing > 0 and (piece := self._stream.read(missing)):
                pieces.append(piece)
                missing -= len(piece)
        except (OSError, EOFError, UnicodeError, zlib.error, InputError) as error:
            self._damage = error
        ahead = b"".join(pieces)
        if self._damage is not None:
            # What follows the last whole line may be half of a value.
            ahead = ahead[: ahead.rfind(b"\n") + 1]
        self._ahead, self._start = ahead, 0

    def skip(self, size: int) -> None:
        """Consume `size` bytes, or all there are."""
        while size > 0 and (piece := self.peek(min(size, BLOCK_BYTES))):
            self._start += len(piece)
            self.offset += len(piece)
            size -= len(piece)

    def line(self) -> bytes:
        """Consume and return the next line, at most the longest row's length of it."""
        seen = self.peek(SMALLEST_BLOCK_BYTES)
        if b"\n" not in seen and len(seen) == SMALLEST_BLOCK_BYTES:
            seen = self.peek(LONGEST_ROW_BYTES)
        end = seen.find(b"\n") + 1 or len(seen)
        self._start += end
        self.offset += end
        return seen[:end]

    def rest_of_line(self, beginning: bytes) -> int:
        """Consume what is left of a line that was too long, and return its length."""
        length = 0
        while not beginning.endswith(b"\n") and (beginning := self.line()):
            length += len(beginning)
        return length
