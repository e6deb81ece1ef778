"""CSV, JSON Lines and Parquet files: which kind, which encoding, how packed.

What cannot be read stops at its place: rows before it were given out, and the error
says so. A file that unpacks to far more than it could hold is refused.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, cast

import polars as pl

from campaigns.errors import InputError
from campaigns.sources.blocks import (
    BLOCK_BYTES,
    LONGEST_ROW_BYTES,
    Block,
    Lookahead,
    Place,
    RowError,
)
from campaigns.sources.csv_blocks import csv_blocks
from campaigns.sources.json_blocks import json_blocks, parse
from campaigns.sources.parquet_blocks import parquet_blocks

_DELIMITERS: Final = ",;\t|"
_MOST_UNPACKED: Final = 300
_ALWAYS_UNPACKED_BYTES: Final = 64 << 20
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class DataFile:
    """An open data file.

    Attributes:
        columns: The columns, in the file's order; of JSON Lines, the first object's.
        blocks: Yields, once, its rows behind a place, in blocks. Raises InputError
            where the file is damaged.
        position: How many bytes of the file were read so far.
        is_ragged: Whether a row may lack columns of others, or have more.
    """

    columns: list[str]
    blocks: Callable[[Place], Iterator[Block]]
    position: Callable[[], int]
    is_ragged: bool = False


@contextmanager
def open_data_file(path: Path, *, encoding: str | None = None) -> Iterator[DataFile]:
    """Open a .csv, .tsv, .jsonl, .ndjson (also .gz) or .parquet file.

    Args:
        path: The file.
        encoding: Of its text; None for UTF-8. What a byte order mark says comes first.

    Raises:
        InputError: It does not exist, is empty, or is of another kind.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield _open_parquet(path)
        return
    if not name.endswith((".csv", ".tsv", ".jsonl", ".ndjson")):
        raise InputError(
            f"{path}: of which kind is it? known endings: .csv .tsv .jsonl .ndjson "
            "(also .gz) .parquet"
        )
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        text = Lookahead(_as_utf8(_unpacked(raw, path), encoding, path))
        with _damage_named(path):
            is_csv = name.endswith((".csv", ".tsv"))
            columns, blocks = (_open_csv if is_csv else _open_json_lines)(text, path)
        yield DataFile(
            columns,
            lambda place: _until_damage(blocks(place), path),
            raw.tell,
            is_ragged=not is_csv,
        )


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into an error that says what to do."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: the gzip data is damaged or cut off ({error}); rows before the "
            "damage were taken, export the file again for the rest"
        ) from error
    except UnicodeError as error:
        raise InputError(
            f"{path}: is not in the encoding it should be in ({error}); rows before "
            "the damage were taken"
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path}: is damaged ({error}); rows before the damage were taken, export "
            "the file again for the rest"
        ) from error


def _until_damage(blocks: Iterator[Block], path: Path) -> Iterator[Block]:
    with _damage_named(path):
        yield from blocks


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix != ".gz":
        return raw
    return cast("IO[bytes]", _Unpacked(raw, path))


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, as long as it is not a bomb."""

    def __init__(self, raw: IO[bytes], path: Path) -> None:
        super().__init__()
        self._packed = raw
        self._path = path
        self._unpacked = gzip.GzipFile(fileobj=raw)
        self._given = 0

    def read(self, size: int = -1) -> bytes:
        # One step at a time: what was unpacked before a damage is not lost.
        piece = self._unpacked.read1(size)
        self._given += len(piece)
        most = max(_ALWAYS_UNPACKED_BYTES, _MOST_UNPACKED * self._packed.tell())
        if self._given > most:
            raise InputError(
                f"{self._path}: unpacks to more than {_MOST_UNPACKED} times its size, "
                "which no honest data does; rows before that were taken, look at the "
                "rest yourself"
            )
        return piece


def _as_utf8(stream: IO[bytes], encoding: str | None, path: Path) -> IO[bytes]:
    """Return the stream's text as UTF-8, without a byte order mark."""
    with _damage_named(path):
        beginning = stream.read(3)
    marked = "utf-16" if beginning.startswith(_UTF16) else encoding
    if marked is None or beginning.startswith(codecs.BOM_UTF8):
        text = _Chained(beginning.removeprefix(codecs.BOM_UTF8), stream)
        return cast("IO[bytes]", text)
    try:
        "a".encode(marked)
    except (LookupError, UnicodeError) as error:
        raise InputError(f"{path}: there is no encoding {marked!r}") from error
    whole = _Chained(beginning, stream)
    # A byte that is none stays one, to be found in its row.
    errors = "strict" if marked.startswith("utf") else "surrogateescape"
    return cast("IO[bytes]", codecs.EncodedFile(whole, "utf-8", marked, errors))


class _Chained(io.RawIOBase):
    """Some bytes, then those of a stream."""

    def __init__(self, beginning: bytes, stream: IO[bytes]) -> None:
        super().__init__()
        self._beginning = beginning
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        beginning, self._beginning = self._beginning, b""
        return beginning + self._stream.read(max(0, size - len(beginning)))


_Opened = tuple[list[str], Callable[[Place], Iterator[Block]]]


def _open_csv(text: Lookahead, path: Path) -> _Opened:
    line = text.line()
    if len(line) >= LONGEST_ROW_BYTES:
        raise InputError(f"{path}: the first line is too long to be a header")
    try:
        header_line = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: the header is not valid UTF-8; name the file's encoding in a "
            'mapping file: encoding = "cp1252"'
        ) from error
    delimiter = max(_DELIMITERS, key=header_line.count)
    try:
        header = next(csv.reader([header_line], delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(f"{path}: the first line is no header: {error}") from error
    columns = [name.strip() for name in header]
    if not any(columns):
        raise InputError(f"{path}: the first line holds no column names")
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError(f"{path}: the column {twice!r} stands in the header twice")

    def blocks(place: Place) -> Iterator[Block]:
        text.skip(place.offset - text.offset)
        return csv_blocks(text, columns, delimiter, place.row)

    return columns, blocks


def _open_json_lines(text: Lookahead, path: Path) -> _Opened:
    """Open objects line by line; the columns are those of the first good line."""
    lines = (line for line in text.peek(BLOCK_BYTES).split(b"\n") if line.strip())
    objects = (parse(line) for line in lines)
    known = next((each for each in objects if not isinstance(each, RowError)), None)
    if known is None:
        raise InputError(f"{path}: no line of it is a JSON object")

    def blocks(place: Place) -> Iterator[Block]:
        text.skip(place.offset)
        return json_blocks(text, place.row)

    return list(known), blocks


def _open_parquet(path: Path) -> DataFile:
    try:
        frame = pl.scan_parquet(path, glob=False)
        columns = frame.collect_schema().names()
        height = int(frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {error}") from error
    read = 0

    def blocks(place: Place) -> Iterator[Block]:
        nonlocal read
        for block in parquet_blocks(frame, place.row):
            yield block
            read = block.end.row

    size = path.stat().st_size
    return DataFile(
        columns,
        lambda place: _until_damage(blocks(place), path),
        lambda: size * read // max(height, 1),
    )
