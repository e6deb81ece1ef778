"""No column may know what came after its date: what does is refused by its name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl
from sklearn.metrics import roc_auc_score

from models.definitions import FEATURE_NAMES

_OUTCOMES: Final = frozenset(
    {"came_back", "returned", "returned_at", "return_kind", "settled_at", "won_back"}
)
_TELLS_ALL: Final = 0.999
_FEWEST: Final = 20
_MOST_WORDS: Final = 20


def refuse_leaks(
    table: pl.DataFrame,
    *,
    as_of: datetime,
    came_back: Mapping[str, bool] | None = None,
) -> None:
    """Refuse a table with a column that was not known at its date.

    Args:
        table: account, and columns that something is to learn from.
        as_of: The date.
        came_back: What was to be found out, by account: a column that tells it almost
            by itself was made from it.

    Raises:
        ValueError: Names the column, and what of it is later.
    """
    for name in table.columns:
        if name == "account":
            continue
        if name.lower() in _OUTCOMES:
            raise ValueError(f"column {name!r} is an outcome; leave it out")
        values = _dated(table[name])
        if values.dtype.is_temporal():
            _refuse_later(values, as_of)
        # Features of our own are cut off at their date, however well they tell.
        if came_back and name not in FEATURE_NAMES:
            _refuse_telling(table["account"], values, came_back, as_of)


def _dated(values: pl.Series) -> pl.Series:
    """Return text that holds a day throughout as days, anything else as it is."""
    if values.dtype != pl.String or values.null_count() == len(values):
        return values
    days = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return days if days.null_count() == values.null_count() else values


def _refuse_later(values: pl.Series, as_of: datetime) -> None:
    if values.dtype == pl.Date:
        later = int((values >= as_of.date()).sum())
    elif isinstance(values.dtype, pl.Datetime):
        zone = values.dtype.time_zone
        limit = as_of if zone else as_of.replace(tzinfo=None)
        later = int((values >= limit).sum())
    else:
        return
    if later:
        raise ValueError(
            f"column {values.name!r}: {later:,} rows are dated at or after "
            f"{as_of:%Y-%m-%d}, when nobody knew them; leave it out, or cut it off"
        )


def _refuse_telling(
    accounts: pl.Series,
    values: pl.Series,
    came_back: Mapping[str, bool],
    as_of: datetime,
) -> None:
    backs = [came_back.get(account) for account in accounts]
    table = pl.DataFrame({"value": values, "back": pl.Series(backs, dtype=pl.Boolean)})
    table = table.filter(pl.col("back").is_not_null())
    is_missing = table.select("back", value=pl.col("value").is_null())
    if any(map(_tells, (is_missing, _as_numbers(table.drop_nulls())))):
        raise ValueError(
            f"column {values.name!r} tells by itself who came back after "
            f"{as_of:%Y-%m-%d}: it was made later, or from the outcome; leave it out"
        )


def _as_numbers(table: pl.DataFrame) -> pl.DataFrame:
    """Return values as numbers: few words by how many of each came back, others not."""
    values = table["value"]
    if values.dtype.is_numeric() or values.dtype == pl.Boolean:
        known = table.with_columns(pl.col("value").cast(pl.Float64))
        return known.filter(pl.col("value").is_not_nan())
    if values.dtype.is_nested() or values.n_unique() > _MOST_WORDS:
        return table.clear()
    return table.with_columns(value=pl.col("back").mean().over("value"))


def _tells(table: pl.DataFrame) -> bool:
    back = table["back"]
    if min(back.sum(), len(back) - back.sum()) < _FEWEST:
        return False
    area = roc_auc_score(back.to_numpy(), table["value"].cast(pl.Float64).to_numpy())
    return bool(max(area, 1 - area) >= _TELLS_ALL)
