"""Rows of a file become records, one by one, each value read by its field's kind."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from string import Formatter
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from pydantic import ValidationError

from campaigns.domain.records import RECORDS, Record, zone_name
from campaigns.sources.blocks import Row, RowError
from campaigns.sources.mapping import FieldSource, MappingFile, field_sources

SECONDS: Final = {"s": 1, "ms": 1000}
_MINOR_PER_MAJOR: Final = 100
_MOST_DIGITS: Final = 18
Lookups = Mapping[str, Mapping[str, str]]
"""The account of each subscription and contact, for fields read `through` them."""


class RowMapper:
    """Turns rows of a file with the given columns into records of one kind.

    Args:
        kind: Of which record.
        columns: The file's columns; of a ragged file, those of its first row.
        mapping: Where fields come from, or None if columns bear their names.
        file: The file's name, for errors.
        is_ragged: Whether rows may lack columns of others, or have more.
        lookups: What fields are read `through`.

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
        lookups: Lookups = MappingProxyType({}),
    ) -> None:
        self._record = RECORDS[kind]
        self.is_distinct = bool(mapping and mapping.distinct)
        self.sources = field_sources(
            kind, columns, mapping, file=file, is_ragged=is_ragged
        )
        fields = self._record.model_fields
        self._known = frozenset(fields) if is_ragged and not mapping else None
        zone = mapping.zone if mapping else None
        self._readers = {
            name: _reader(str(fields[name].annotation), source, zone, lookups)
            for name, source in self.sources.items()
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
                source = self.sources[name]
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
        used = {name for source in self.sources.values() for name in source.columns()}
        return [column for column in columns if column not in used]

    def _column(self, name: str) -> str:
        source = self.sources.get(name)
        return (source.column if source else None) or name


def _reader(
    annotation: str, source: FieldSource, zone: str | None, lookups: Lookups
) -> Callable[[Row], Any]:
    """Return what reads one field's value out of a row; None where it is empty."""
    origin = _origin(source)
    if "AwareDatetime" in annotation:
        convert = _moment_reader(source, zone)
    else:
        convert = _converter(annotation, source)
    account_of = lookups.get(source.through or "", {})

    def read(row: Row) -> Any:  # noqa: ANN401
        value = origin(row)
        if value is None or value == "":
            value = source.default
        if value is None:
            return None
        if source.values is not None:
            value = _meaning(value, source.values)
        if source.through is not None:
            value = _account_through(value, source.through, account_of)
        return convert(value, row)

    return read


def _converter(annotation: str, source: FieldSource) -> Callable[[Any, Row], Any]:
    convert: Callable[[Any], Any] | None = None
    if source.unit == "major":
        convert = _minor_units
    elif "dict[" in annotation:
        convert = _json_object
    elif "tuple[" in annotation:
        convert = _list_of_words
    return lambda value, _row: convert(value) if convert else value


def _meaning(value: object, meanings: Mapping[str, Any]) -> object:
    if str(value) not in meanings:
        known = ", ".join(meanings)
        raise ValueError(f"has no meaning in the mapping; those that have: {known}")
    return meanings[str(value)]


def _account_through(value: object, kind: str, account_of: Mapping[str, str]) -> str:
    if str(value) not in account_of:
        raise ValueError(f"is none of the {kind}: import these first")
    return account_of[str(value)]


def _origin(source: FieldSource) -> Callable[[Row], Any]:
    if source.column is not None:
        column = source.column
        return lambda row: row.get(column)
    if source.template is not None:
        parts = [part[:2] for part in Formatter().parse(source.template)]
        return lambda row: "".join(
            literal + (_filled(row, name) if name else "") for literal, name in parts
        )
    return lambda _row: source.constant


def _filled(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None or value == "":
        raise ValueError(f"is made from column {column!r}, which is empty")
    return str(value)


def _moment_reader(
    source: FieldSource, zone: str | None
) -> Callable[[Any, Row], datetime]:
    usual = source.zone or zone

    def read(value: Any, row: Row) -> datetime:  # noqa: ANN401
        if source.unit in SECONDS:
            return datetime.fromtimestamp(float(value) / SECONDS[source.unit], UTC)
        moment = _parse(value)
        if moment.tzinfo is not None:
            return moment
        name = row.get(source.zone_column) if source.zone_column else usual
        if not name:
            raise ValueError(
                'is a time without a zone; write one, or name it: zone = "UTC" in a '
                "mapping file"
            )
        return _in_zone(moment, str(name))

    return read


def _in_zone(moment: datetime, name: str) -> datetime:
    """Return a local time in its zone; of a repeated hour, the first is meant."""
    try:
        local = moment.replace(tzinfo=ZoneInfo(zone_name(name)))
    except ValueError as error:
        raise ValueError(f"is in {name!r}, which is not an IANA time zone") from error
    if local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != moment:
        raise ValueError(f"never was in {name}: the clocks were put forward over it")
    return local


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
    if not minor.is_finite() or minor.adjusted() > _MOST_DIGITS:
        raise ValueError("is not an amount of money such as 12.50")
    if minor != int(minor):
        raise ValueError("has more than two decimals")
    return int(minor)


def _json_object(value: object) -> object:
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
        # It is kept as text: what cannot be, is found here.
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("is not a JSON object of plain values") from error
    return found


def _list_of_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [word.strip() for word in value.split(",") if word.strip()]
