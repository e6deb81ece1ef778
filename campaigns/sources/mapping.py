"""How a file's columns become a record's fields.

A mapping file says where each field comes from: a column under another name, a
constant, or a template of several columns. Without one, the columns must bear the
fields' own names. A mapping is checked against the file before the first row is read.
"""

import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from campaigns.domain.records import RECORDS, Record, ZoneName
from campaigns.errors import InputError

Row = dict[str, Any]
_MINOR_PER_MAJOR: Final = 100
_SECONDS: Final = {"s": 1, "ms": 1000}


class FieldSource(BaseModel):
    """Where one field's value comes from.

    Attributes:
        column: A column of the file.
        constant: The same value for every row.
        template: Text with columns in braces, such as `{account}@example.com`.
        default: What stands in place of an empty value.
        unit: `major` for money given as 12.50, `s` or `ms` for seconds or
            milliseconds since 1970.
        zone: The zone of naive times in this column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    constant: Any = None
    template: str | None = None
    default: Any = None
    unit: Literal["major", "minor", "s", "ms"] | None = None
    zone: ZoneName | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> "FieldSource":
        given = (self.column, self.constant, self.template)
        if sum(each is not None for each in given) != 1:
            raise ValueError("give exactly one of column, constant, template")
        return self

    def columns(self) -> list[str]:
        """Return the columns this source reads."""
        if self.column is not None:
            return [self.column]
        parts = Formatter().parse(self.template or "")
        return [name for _, name, _, _ in parts if name]


class MappingFile(BaseModel):
    """What a mapping file holds.

    Attributes:
        distinct: The file lists one record on many rows: the first row of each is
            taken, the others are counted as unchanged.
        zone: The zone of naive times in all columns.
        fields: Each field's source; a plain string is a column's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    distinct: bool = False
    zone: ZoneName | None = None
    fields: dict[str, str | FieldSource] = Field(default_factory=dict)


class RowError(ValueError):
    """A row cannot become a record: the column, the value, and why."""

    def __init__(self, column: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = "" if value is None else str(value)
        self.reason = reason


def read_mapping(path: Path | None, *, kind: str) -> MappingFile | None:
    """Return the mapping in the file at `path`, or None without a path.

    Raises:
        InputError: The file cannot be read or names fields that `kind` has not.
    """
    if path is None:
        return None
    try:
        mapping = MappingFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise InputError(f"{path}: {where}: {error.errors()[0]['msg']}") from error
    known = list(RECORDS[kind].model_fields)
    for name in mapping.fields:
        if name not in known:
            raise InputError(f"{path}: {kind} have no field {_suggest(name, known)}")
    return mapping


class RowMapper:
    """Turns rows of a file with the given columns into records of one kind.

    Args:
        kind: Of which record.
        columns: The file's columns; of a ragged file, those of its first row.
        mapping: Where fields come from, or None if columns bear their names.
        file: The file's name, for errors.
        is_ragged: Whether rows may lack columns of others, or have more.

    Raises:
        InputError: Columns are missing, or unknown where no mapping is given.
    """

    def __init__(
        self,
        kind: str,
        columns: Sequence[str],
        mapping: MappingFile | None,
        *,
        file: str,
        is_ragged: bool = False,
    ) -> None:
        self._record = RECORDS[kind]
        self.is_distinct = bool(mapping and mapping.distinct)
        fields = self._record.model_fields
        sources = {
            name: FieldSource(column=given) if isinstance(given, str) else given
            for name, given in (mapping.fields if mapping else {}).items()
        }
        # A mapping need only name what differs.
        sources |= {
            name: FieldSource(column=name)
            for name in fields
            if name not in sources and (is_ragged or name in columns)
        }
        if not is_ragged:
            _check_columns(kind, columns, sources, has_mapping=bool(mapping), file=file)
        self._known = frozenset(fields) if is_ragged and not mapping else None
        self._sources = sources
        zone = mapping.zone if mapping else None
        self._readers = {
            name: _reader(str(fields[name].annotation), source, zone)
            for name, source in sources.items()
        }

    def record(self, row: Row) -> Record:
        """Return the record that `row` holds.

        Raises:
            RowError: A value is missing or wrong; names the column.
        """
        if self._known is not None and not self._known.issuperset(row):
            unknown = min(set(row) - self._known)
            raise RowError(unknown, row[unknown], "is a field that is not known")
        values: Row = {}
        for name, read in self._readers.items():
            try:
                value = read(row)
            except (ValueError, ArithmeticError, LookupError, TypeError) as error:
                source = self._sources[name]
                raise RowError(
                    self._column(name), row.get(source.column or ""), str(error)
                ) from error
            if value is not None:
                values[name] = value
        try:
            return self._record.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            reason = first["msg"].removeprefix("Value error, ")
            if first["type"] == "missing":
                reason = "is empty, and every row needs it"
            raise RowError(self._column(name), values.get(name), reason) from error

    def unused(self, columns: Sequence[str]) -> list[str]:
        """Return those of `columns` that no field is made from."""
        used = {name for source in self._sources.values() for name in source.columns()}
        return [column for column in columns if column not in used]

    def _column(self, name: str) -> str:
        source = self._sources.get(name)
        return (source.column if source else None) or name


def _check_columns(
    kind: str,
    columns: Sequence[str],
    sources: dict[str, FieldSource],
    *,
    has_mapping: bool,
    file: str,
) -> None:
    for name, source in sources.items():
        for column in source.columns():
            if column not in columns:
                raise InputError(
                    f"{file}: the mapping takes {name} from a column that the file "
                    f"does not have: {_suggest(column, columns)}"
                )
    fields = RECORDS[kind].model_fields
    required = [name for name, each in fields.items() if each.is_required()]
    if missing := [name for name in required if name not in sources]:
        raise InputError(
            f"{file}: {kind} need {', '.join(missing)}, and no column bears that name; "
            f"the file has {', '.join(columns) or 'no columns'}; give --map FILE"
        )
    unknown = [column for column in columns if column not in fields]
    if unknown and not has_mapping:
        raise InputError(
            f"{file}: unknown column {_suggest(unknown[0], list(fields))}; rename it, "
            "or give --map FILE (with a mapping, columns it does not name are left out)"
        )


def _suggest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{name!r}{hint}; there are: {', '.join(known)}"


def _reader(
    annotation: str, source: FieldSource, zone: str | None
) -> Callable[[Row], Any]:
    """Return what reads one field's value out of a row; None where it is empty."""
    origin = _origin(source)
    is_moment = "AwareDatetime" in annotation
    name = source.zone or zone
    convert: Callable[[Any], Any] = _same
    if is_moment:
        convert = _moment_reader(ZoneInfo(name) if name else None, source.unit)
    elif source.unit == "major":
        convert = _minor_units
    elif "dict[" in annotation:
        convert = _json_object
    elif "tuple[" in annotation:
        convert = _list_of_words

    def read(row: Row) -> Any:  # noqa: ANN401
        value = origin(row)
        if value is None or value == "":
            value = source.default
        return None if value is None else convert(value)

    return read


def _same(value: object) -> object:
    return value


def _origin(source: FieldSource) -> Callable[[Row], Any]:
    if source.column is not None:
        column = source.column
        return lambda row: row.get(column)
    if source.template is not None:
        template, columns = source.template, source.columns()
        return lambda row: template.format_map(
            {name: _filled(row, name) for name in columns}
        )
    return lambda _row: source.constant


def _filled(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None or value == "":
        raise ValueError(f"is made from column {column!r}, which is empty")
    return str(value)


def _moment_reader(
    zone: ZoneInfo | None, unit: str | None
) -> Callable[[Any], datetime]:
    def read(value: Any) -> datetime:  # noqa: ANN401
        if unit in _SECONDS:
            return datetime.fromtimestamp(float(value) / _SECONDS[unit], UTC)
        moment = _parse(value)
        if moment.tzinfo is not None:
            return moment
        if zone is None:
            raise ValueError(
                'is a time without a zone; write one, or name it: zone = "UTC" in a '
                "mapping file"
            )
        return moment.replace(tzinfo=zone)

    return read


def _parse(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001
    try:
        return datetime.fromisoformat(str(value).strip())
    except ValueError as error:
        raise ValueError("is not an ISO 8601 time such as 2026-01-31T09:00Z") from error


def _minor_units(value: object) -> int:
    try:
        minor = Decimal(str(value)) * _MINOR_PER_MAJOR
    except InvalidOperation as error:
        raise ValueError("is not an amount of money such as 12.50") from error
    if minor != int(minor):
        raise ValueError("has more than two decimals")
    return int(minor)


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError("is not a JSON object") from error


def _list_of_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [word.strip() for word in value.split(",") if word.strip()]
