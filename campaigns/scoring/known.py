"""What is known of churned accounts, and the features that are made from it."""

from collections.abc import Mapping
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


class Known(NamedTuple):
    """What features and facts are made from.

    Attributes:
        churned_at: The accounts in question, each with its churn.
        accounts: id and created_at of every account.
        subscriptions: Their contracts.
        usage: The lake's events.
        tickets: Account and opened_at.
        nps: Account, at and score.
    """

    churned_at: Mapping[str, datetime]
    accounts: pl.DataFrame
    subscriptions: pl.DataFrame
    usage: pl.LazyFrame
    tickets: pl.DataFrame
    nps: pl.DataFrame

    def inputs(self) -> Inputs:
        """Return the same as lazy frames."""
        churned = {
            "account": list(self.churned_at),
            "churned_at": list(self.churned_at.values()),
        }
        return Inputs(
            pl.LazyFrame(churned, schema=_CHURNED),
            self.accounts.lazy(),
            self.usage,
            self.subscriptions.lazy(),
            # Where nobody has any, none were imported: then nothing is known.
            None if self.tickets.is_empty() else self.tickets.lazy(),
            None if self.nps.is_empty() else self.nps.lazy(),
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
