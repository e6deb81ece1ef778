"""CSV, JSON Lines and Parquet files, row by row.

A row that cannot be read (bad UTF-8, too few fields, no JSON) is a rejection with its
place and reason; it never stops the rows after it.
"""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, TextIO, cast

import orjson

from campaigns.errors import InputError
from campaigns.sources.mapping import Row, RowError

_DELIMITERS: Final = ",;\t|"
_READ_AHEAD: Final = 64 * 1024
_LONGEST_FIELD: Final = 1024 * 1024
NumberedRow = tuple[int, Row | RowError]


@dataclass(frozen=True, slots=True)
class DataFile:
    """An open data file: its columns, and its rows with their number from 1.

    Attributes:
        columns: The columns, in the file's order.
        rows: Yields number and row; a RowError in place of a row that is unreadable.
        position: How many bytes of the file were read so far.
        is_ragged: Whether a row may lack columns of others, or have more.
    """

    columns: list[str]
    rows: Iterator[NumberedRow]
    position: Callable[[], int]
    is_ragged: bool = False


@contextmanager
def open_data_file(path: Path) -> Iterator[DataFile]:
    """Open a .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet file.

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
        unpacked = stack.enter_context(_unpacked(raw, path))
        is_csv = name.endswith((".csv", ".tsv"))
        try:
            if is_csv:
                columns, rows = _read_csv(stack.enter_context(_lines(unpacked)), path)
            else:
                columns, rows = _read_json_lines(unpacked, path)
            yield DataFile(columns, rows, raw.tell, is_ragged=not is_csv)
        except (gzip.BadGzipFile, EOFError) as error:
            raise InputError(
                f"{path}: the gzip data is damaged or cut off ({error}); rows before "
                "the damage were taken, export the file again for the rest"
            ) from error


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _unpacked(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile(fileobj=raw) as unpacked:
        yield cast("IO[bytes]", unpacked)


def _lines(binary: IO[bytes]) -> TextIO:
    # Bytes that are not UTF-8 become lone surrogates, to be found row by row.
    return io.TextIOWrapper(
        binary, encoding="utf-8-sig", errors="surrogateescape", newline=""
    )


def _read_csv(lines: TextIO, path: Path) -> tuple[list[str], Iterator[NumberedRow]]:
    csv.field_size_limit(_LONGEST_FIELD)
    header_line = lines.readline()
    delimiter = max(_DELIMITERS, key=header_line.count)
    header = next(csv.reader([header_line], delimiter=delimiter), [])
    columns = [name.strip() for name in header]
    if not any(columns):
        raise InputError(f"{path}: the first line holds no column names")
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError(f"{path}: the column {twice!r} stands in the header twice")
    return columns, _csv_rows(csv.reader(lines, delimiter=delimiter), columns)


def _csv_rows(reader: Any, columns: list[str]) -> Iterator[NumberedRow]:  # noqa: ANN401
    number = 0
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield number, RowError("", "", f"is not valid CSV: {error}")
            continue
        if not values:  # a blank line is no row
            continue
        number += 1
        if len(values) != len(columns):
            reason = f"has {len(values)} fields where the header has {len(columns)}"
            yield number, RowError("", "", reason)
            continue
        row = dict(zip(columns, values, strict=True))
        yield number, _decoded(row)


def _decoded(row: Row) -> Row | RowError:
    """Return `row`, or an error if a value holds bytes that are not UTF-8."""
    for column, value in row.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                shown = value.encode("utf-8", "surrogateescape").decode(
                    "utf-8", "backslashreplace"
                )
                return RowError(column, shown, "is not valid UTF-8")
    return row


def _read_json_lines(
    binary: IO[bytes], path: Path
) -> tuple[list[str], Iterator[NumberedRow]]:
    """Read objects line by line; the columns are those of the first good line."""
    first: list[NumberedRow] = []
    rows = _json_rows(binary)
    for number, row in rows:
        first.append((number, row))
        if not isinstance(row, RowError):
            break
    else:
        if not first:
            raise InputError(f"{path}: the file is empty")
        raise InputError(f"{path}: no line of it is a JSON object")
    known = cast("Row", first[-1][1])

    def chained() -> Iterator[NumberedRow]:
        yield from first
        yield from rows

    return list(known), chained()


def _json_rows(binary: IO[bytes]) -> Iterator[NumberedRow]:
    number = 0
    for line in binary:
        if not line.strip():
            continue
        number += 1
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            shown = line[:200].decode("utf-8", "backslashreplace").strip()
            yield number, RowError("", shown, f"is not valid JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield number, RowError("", str(value)[:200], "is not a JSON object")
            continue
        yield number, value


def _open_parquet(path: Path) -> DataFile:
    import polars as pl

    try:
        frame = pl.scan_parquet(path)
        columns = frame.collect_schema().names()
        height = int(frame.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: is not a readable Parquet file: {error}") from error
    read = 0

    def rows() -> Iterator[NumberedRow]:
        nonlocal read
        for start in range(0, height, _READ_AHEAD):
            piece = frame.slice(start, _READ_AHEAD).collect()
            yield from enumerate(piece.iter_rows(named=True), start=start + 1)
            read = start + piece.height

    size = path.stat().st_size
    return DataFile(columns, rows(), lambda: size * read // max(height, 1))
