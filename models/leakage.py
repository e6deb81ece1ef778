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
        values = table[name]
        if values.dtype.is_temporal():
            _refuse_later(values, as_of)
        # Features of our own are cut off at their date, however well they tell.
        elif came_back and name not in FEATURE_NAMES and values.dtype.is_numeric():
            _refuse_telling(table.select("account", name), came_back, as_of)


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
    table: pl.DataFrame, came_back: Mapping[str, bool], as_of: datetime
) -> None:
    name = table.columns[1]
    known = table.drop_nulls().filter(pl.col(name).is_not_nan())
    outcome = [came_back[account] for account in known["account"]]
    if min(sum(outcome), len(outcome) - sum(outcome)) < _FEWEST:
        return
    area = roc_auc_score(outcome, known[name].to_numpy())
    if max(area, 1 - area) >= _TELLS_ALL:
        raise ValueError(
            f"column {name!r} tells by itself who came back after {as_of:%Y-%m-%d}: it "
            "was made later, or from the outcome; leave it out"
        )
