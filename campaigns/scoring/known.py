"""What is known of churned accounts, and the features that are made from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from campaigns.errors import ConfigError
from models.definitions import DEFINITION
from models.features import Inputs, features_as_of
from models.taxonomy import Segment, read_taxonomy

FEATURE_DEFINITION: Final = DEFINITION
"""The version of what features mean; those of another are not comparable."""

_MOMENT: Final = pl.Datetime("us", "UTC")
_CHURNED: Final[dict[str, Any]] = {"account": pl.String, "churned_at": _MOMENT}
_ACCOUNTS: Final[dict[str, Any]] = {"id": pl.String, "created_at": _MOMENT}
_SUBSCRIPTIONS: Final[dict[str, Any]] = {
    "account": pl.String,
    "plan_is_free": pl.Boolean,
    "seats": pl.Int64,
    "mrr_minor": pl.Int64,
    "discount_minor": pl.Int64,
    "started_at": _MOMENT,
    "ended_at": _MOMENT,
    "end_reason": pl.String,
}
_TICKETS: Final[dict[str, Any]] = {"account": pl.String, "opened_at": _MOMENT}
_NPS: Final[dict[str, Any]] = {"account": pl.String, "at": _MOMENT, "score": pl.Int64}


class Known(NamedTuple):
    """What features and facts are made from.

    Attributes:
        churned_at: The accounts in question, each with its churn.
        accounts: id and created_at of every account.
        subscriptions: Rows as the store gives them.
        usage: The lake's events.
        tickets: Rows as the store gives them.
        nps: Rows as the store gives them.
    """

    churned_at: Mapping[str, datetime]
    accounts: Sequence[Mapping[str, Any]]
    subscriptions: Sequence[Mapping[str, Any]]
    usage: pl.LazyFrame
    tickets: Sequence[Mapping[str, Any]] = ()
    nps: Sequence[Mapping[str, Any]] = ()

    def inputs(self) -> Inputs:
        """Return the same as lazy frames."""
        churned = {
            "account": list(self.churned_at),
            "churned_at": list(self.churned_at.values()),
        }
        accounts = [{name: row[name] for name in _ACCOUNTS} for row in self.accounts]
        return Inputs(
            pl.LazyFrame(churned, schema=_CHURNED),
            pl.LazyFrame(accounts, schema=_ACCOUNTS),
            self.usage,
            pl.LazyFrame(list(self.subscriptions), schema=_SUBSCRIPTIONS),
            # Where nobody has any, none were imported: then nothing is known.
            pl.LazyFrame(self.tickets, schema=_TICKETS) if self.tickets else None,
            pl.LazyFrame(self.nps, schema=_NPS) if self.nps else None,
        )


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments in a file.

    Raises:
        ConfigError: The file is not as it should be.
    """
    try:
        return read_taxonomy(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def features_of(known: Known, *, as_of: datetime) -> pl.DataFrame:
    """Return one row of features for each churned account."""
    table: pl.DataFrame = features_as_of(known.inputs(), as_of=as_of).to_native()
    return table
