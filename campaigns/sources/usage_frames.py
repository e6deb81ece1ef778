"""Usage, a block at a time: what is plainly right is taken as columns.

Strict where the row-by-row path is lenient: what is not surely right here is left to
that path, which takes it or says why not. So both give the same events; this one gives
them without a Python object per row.
"""

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
import polars as pl

from campaigns.sources.mapping import FieldSource, MappingFile
from campaigns.sources.rows import SECONDS, Lookups, RowMapper

_MOMENT: Final = pl.Datetime("us", "UTC")
_PLAIN: Final = r"^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$"
# A digit is one of ten here: \d would be any script's.
_DATE: Final = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = (
    r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.(?:[0-9]{3}|[0-9]{6}))?"
)
_ZONED: Final = rf"^{_DATE}{_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])$"
_LOCAL: Final = rf"^{_DATE}(?:{_CLOCK})?$"
_SHORTEST_LOCAL: Final = len("2026-01-31")
_WHOLE_NUMBER: Final = r"^[1-9][0-9]{0,11}$"
_LONGEST_ID: Final = 200
_LONGEST_LINE: Final = 500
_MOST_COUNT: Final = 10**12
_MOST_ODD_VALUES: Final = 10_000
_MOST_SECONDS: Final = 10**11
_OUTCOMES: Final = ("ok", "failed")
_NAMES: Final = frozenset({"account", "feature", "contact", "id"})
"""Fields that may be numbers in files with types, and are text to us."""

USAGE_COLUMNS: Final = (
    "account",
    "at",
    "feature",
    "contact",
    "count",
    "outcome",
    "properties",
    "id",
)
"""The columns of a frame of events, in the order the lake keeps them."""


class Sorted(NamedTuple):
    """A block's rows, sorted out.

    Attributes:
        events: Those plainly right: USAGE_COLUMNS, and `row`, the place in the block.
        others: For each row of the block, whether it is left to the other path.
    """

    events: pl.DataFrame
    others: pl.Series


class UsageFrames:
    """Turns clean blocks of a usage file into frames of events.

    Args:
        mapper: How single rows are read: frames are read alike.
        mapping: The mapping file, if there is one.
        accounts: The accounts that are known.
        lookups: What fields are read `through`.
        not_before: Events before it are left to the other path,
        not_after: and those after it.
    """

    def __init__(
        self,
        mapper: RowMapper,
        mapping: MappingFile | None,
        *,
        accounts: Collection[str],
        lookups: Lookups,
        not_before: datetime,
        not_after: datetime,
    ) -> None:
        self._sources = mapper.sources
        self._known = None if mapping else frozenset(USAGE_COLUMNS)
        self._zone = mapping.zone if mapping else None
        self._accounts = pl.Series(sorted(accounts), dtype=pl.String).implode()
        self._lookups = lookups
        self._range = (not_before, not_after)

    def sort_out(self, frame: pl.DataFrame) -> Sorted:
        """Return the events of a clean block, and which rows are left over."""
        if self._known is not None and not self._known.issuperset(frame.columns):
            return _all_left(frame)
        made: dict[str, pl.Series] = {}
        good = pl.repeat(value=True, n=frame.height, dtype=pl.Boolean, eager=True)
        for name, read in self._fields().items():
            column = self._column(name, frame)
            if column is None:
                return _all_left(frame)
            values, is_good = read(column)
            made[name] = values.alias(name)
            good &= is_good.fill_null(value=False)
        events = pl.DataFrame(list(made.values())).with_columns(
            row=pl.int_range(pl.len(), dtype=pl.Int64)
        )
        return Sorted(events.filter(good), ~good)

    def _fields(self) -> dict[str, "_Read"]:
        at = self._sources.get("at", FieldSource(column="at"))
        return {
            "account": self._account,
            "at": lambda column: _moments(column, at, self._zone, self._range),
            "feature": lambda column: _text(column, _LONGEST_LINE, is_required=True),
            "contact": lambda column: _text(column, _LONGEST_ID),
            "count": _counts,
            "outcome": _outcomes,
            "properties": _properties,
            "id": lambda column: _text(column, _LONGEST_ID),
        }

    def _column(self, name: str, frame: pl.DataFrame) -> pl.Series | None:
        """Return a field's raw values; None where they are not to be had as columns."""
        source = self._sources.get(name)
        if source is None:
            return _nothing(frame.height)
        column = _origin(source, frame)
        is_odd = source.zone_column or (source.unit and name != "at")
        if column is None or is_odd:
            return None
        has_meanings = source.default is not None or source.values is not None
        if has_meanings and column.dtype not in {pl.String, pl.Null}:
            return None
        if name in _NAMES and column.dtype.is_integer():
            column = column.cast(pl.String)
        if column.dtype == pl.String:
            column = column.set(column == "", None)
        if source.default is not None:
            column = column.cast(pl.String).fill_null(str(source.default))
        if source.values is not None:
            if not all(isinstance(value, str) for value in source.values.values()):
                return None
            column = _looked_up(column, source.values)
        if source.through is not None:
            column = _looked_up(column, self._lookups[source.through])
        return column

    def _account(self, column: pl.Series) -> "_Values":
        if column.dtype != pl.String:
            return _none_good(column, pl.String)
        return column, column.is_in(self._accounts)


_Values = tuple[pl.Series, pl.Series]
_Read = Callable[[pl.Series], _Values]


def _all_left(frame: pl.DataFrame) -> Sorted:
    others = pl.repeat(value=True, n=frame.height, dtype=pl.Boolean, eager=True)
    return Sorted(pl.DataFrame({"row": []}, schema={"row": pl.Int64}), others)


def _origin(source: FieldSource, frame: pl.DataFrame) -> pl.Series | None:
    if source.column is not None:
        is_there = source.column in frame.columns
        return frame[source.column] if is_there else _nothing(frame.height)
    if source.template is not None:
        return None
    return pl.Series([source.constant]).new_from_index(0, frame.height)


def _nothing(height: int) -> pl.Series:
    return pl.Series([None], dtype=pl.Null).new_from_index(0, height)


def _looked_up(column: pl.Series, meanings: Any) -> pl.Series:  # noqa: ANN401
    """Return what each value stands for; one that stands for nothing is no value.

    The empty text is never a good value, so rows with it are left to the other path.
    """
    keys = column.cast(pl.String)
    table = pl.DataFrame(
        {"key": list(meanings), "meant": list(meanings.values())},
        schema={"key": pl.String, "meant": pl.String},
    )
    joined = keys.to_frame("key").join(
        table, on="key", how="left", maintain_order="left"
    )
    return joined["meant"].fill_null("").set(keys.is_null(), None)


def _none_good(column: pl.Series, dtype: Any) -> _Values:  # noqa: ANN401
    empty = pl.Series([None], dtype=dtype).new_from_index(0, len(column))
    return empty, pl.repeat(value=False, n=len(column), dtype=pl.Boolean, eager=True)


def _text(column: pl.Series, longest: int, *, is_required: bool = False) -> _Values:
    if column.dtype == pl.Null:
        values, _ = _none_good(column, pl.String)
        return values, values.is_null() & (not is_required)
    if column.dtype != pl.String:
        return _none_good(column, pl.String)
    is_good = column.str.contains(_PLAIN) & (column.str.len_bytes() <= longest)
    odd = column.filter(~is_good).unique()
    if 0 < len(odd) <= _MOST_ODD_VALUES:
        fine = [each for each in odd if _is_line(each, longest)]
        is_good |= column.is_in(pl.Series(fine, dtype=pl.String).implode())
    if not is_required:
        is_good = is_good.fill_null(value=True)
    return column, is_good


def _is_line(text: str, longest: int) -> bool:
    return text.isprintable() and text.strip() == text and 0 < len(text) <= longest


def _counts(column: pl.Series) -> _Values:
    if column.dtype == pl.String:
        is_plain = column.str.contains(_WHOLE_NUMBER)
        values = column.cast(pl.Int64, strict=False)
    elif column.dtype.is_integer() or column.dtype == pl.Null:
        values = column.cast(pl.Int64, strict=False)
        is_plain = values.is_between(1, _MOST_COUNT)
    else:
        return _none_good(column, pl.Int64)
    is_good = (is_plain & values.is_not_null()).set(column.is_null(), value=True)
    return values.fill_null(1), is_good


def _outcomes(column: pl.Series) -> _Values:
    if column.dtype not in {pl.String, pl.Null}:
        return _none_good(column, pl.String)
    values = column.cast(pl.String).fill_null("ok")
    return values, values.is_in(pl.Series(_OUTCOMES).implode())


def canonical_properties(properties: dict[str, Any]) -> str:
    """Return properties as text, equal ones as equal text."""
    return json.dumps(properties, sort_keys=True)


def _properties(column: pl.Series) -> _Values:
    if column.dtype not in {pl.String, pl.Null}:
        return _none_good(column, pl.String)
    given = column.cast(pl.String)
    different = given.drop_nulls().unique()
    if len(different) > _MOST_ODD_VALUES:
        different = different.clear()
    meant = {text: made for text in different if (made := _object(text)) is not None}
    values = _looked_up(given, meant) if meant else given.set(given != "", "")
    return values.fill_null("{}"), values.fill_null("{}") != ""


def _object(text: str) -> str | None:
    try:
        value = orjson.loads(text)
        return canonical_properties(value) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None


def _moments(
    column: pl.Series,
    source: FieldSource,
    zone: str | None,
    allowed: tuple[datetime, datetime],
) -> _Values:
    if source.unit in SECONDS:
        values = _since_1970(column, SECONDS[source.unit])
    elif column.dtype == pl.String:
        values = _parsed(column, source.zone or zone)
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        values = column.dt.convert_time_zone("UTC").cast(_MOMENT)
    else:
        return _none_good(column, _MOMENT)
    return values, values.is_between(*allowed)


def _since_1970(column: pl.Series, per_second: int) -> pl.Series:
    whole = column.cast(pl.Int64, strict=False)
    if column.dtype == pl.String:
        whole = whole.set(~column.str.contains(r"^[0-9]{1,14}$"), None)
    elif not column.dtype.is_integer():
        whole = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(column))
    # Larger ones are no time, and would not fit once they are microseconds.
    whole = whole.set(~whole.is_between(0, _MOST_SECONDS * per_second), None)
    return (whole * (1_000_000 // per_second)).cast(_MOMENT)


def _parsed(column: pl.Series, zone: str | None) -> pl.Series:
    """Return ISO 8601 times; null where they are not surely read."""
    zoned = column.set(~column.str.contains(_ZONED), None)
    # The form most exports have is read some times faster by its own pattern.
    moments = zoned.str.to_datetime(
        "%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="us"
    ).dt.replace_time_zone("UTC")
    rest = zoned.set(moments.is_not_null(), None)
    if rest.null_count() < len(rest):
        rest = rest.str.replace(" ", "T", literal=True)
        others = rest.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_unit="us"
        )
        moments = moments.zip_with(moments.is_not_null(), others)
    if zone is None or moments.null_count() == 0:
        return moments
    return moments.zip_with(moments.is_not_null(), _local(column, zone))


def _local(column: pl.Series, zone: str) -> pl.Series:
    local = column.set(~column.str.contains(_LOCAL), None)
    is_date = local.str.len_bytes() == _SHORTEST_LOCAL
    text = local.str.replace(" ", "T", literal=True)
    text = text.zip_with(is_date.fill_null(value=False).not_(), text + "T00:00:00")
    naive = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    # As row by row: of a repeated hour the first; a skipped one is refused there.
    placed = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC").cast(_MOMENT)
