"""The real data that models are measured on, as tables; none is in the project."""

import gzip
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
WINDOW_DAYS: Final = 90


def is_there() -> bool:
    """Say whether this machine has it."""
    return FOLDER.is_dir()


class Mailing(NamedTuple):
    """The e-mail challenge of 2008 (Hillstrom): features, who was sent what, visits."""

    X: np.ndarray
    names: tuple[str, ...]
    text: np.ndarray
    visit: np.ndarray

    def of(self, *texts: int) -> "Mailing":
        """Return those who were sent one of some texts."""
        rows = np.isin(self.text, texts)
        return Mailing(self.X[rows], self.names, self.text[rows], self.visit[rows])


NONE, MENS, WOMENS = 0, 1, 2
_TEXTS: Final = {"No E-Mail": NONE, "Mens E-Mail": MENS, "Womens E-Mail": WOMENS}


def hillstrom() -> Mailing:
    """Return the e-mail challenge; categories as flags, bands of spending by number."""
    raw = gzip.decompress((FOLDER / "hillstrom" / "hillstrom.csv.gz").read_bytes())
    table = pl.read_csv(raw, infer_schema_length=None)
    table = table.rename({name: name.lower() for name in table.columns})
    flags = [
        (pl.col(column) == value).cast(pl.Int64).alias(f"{column}_{value}")
        for column in ("zip_code", "channel")
        for value in sorted(table[column].unique())
    ]
    known = table.select(
        *("recency", "history", "mens", "womens", "newbie"),
        *flags,
        pl.col("history_segment").str.slice(0, 1).cast(pl.Int64),
    )
    text = table["segment"].replace_strict(_TEXTS).to_numpy()
    return Mailing(
        known.to_numpy().astype(float),
        tuple(known.columns),
        text,
        table["visit"].to_numpy().astype(float),
    )


class Log(NamedTuple):
    """A log of use, and which of its accounts count as churned at a cutoff.

    Attributes:
        days: account, day, amount: what was done on a day.
        silent: Fewest and most days since the last use.
        least_days: Of use, ever.
    """

    days: pl.DataFrame
    silent: tuple[int, int]
    least_days: int


def cdnow() -> Log:
    """Return the purchases of CDNOW: customers silent for 90 to 400 days."""
    text = gzip.decompress((FOLDER / "cdnow" / "CDNOW_master.txt.gz").read_bytes())
    rows = [line.split() for line in text.decode().splitlines()[1:]]
    table = pl.DataFrame(
        {
            "account": [row[0] for row in rows],
            "day": pl.Series([row[1] for row in rows]).str.to_date("%Y%m%d"),
            "amount": [float(row[3]) for row in rows],
        }
    )
    return Log(table, (90, 400), 1)


def contributors() -> Log:
    """Return contributors who were active on two days or more, silent 90 to 730."""
    [path] = (FOLDER / "contributors").glob("*.parquet")
    table = pl.read_parquet(path).select(
        "account", pl.col("day").cast(pl.Date), amount=pl.col("files").cast(pl.Float64)
    )
    return Log(table, (90, 730), 2)


class Silent(NamedTuple):
    """Churned accounts at some cutoffs, and who came back within 90 days.

    Attributes:
        account: Their ids.
        known: silence, tenure, gap, days, amount; days and amount are totals.
        came_back: 0 or 1.
    """

    account: np.ndarray
    known: pl.DataFrame
    came_back: np.ndarray


def silent(log: Log, cutoffs: Sequence[date]) -> Silent:
    """Return the churned accounts at cutoffs; nothing later than each is looked at."""
    tables = [_silent_at(log, cutoff) for cutoff in cutoffs]
    table = pl.concat(tables)
    known = table.select("silence", "tenure", "gap", "days", "amount")
    return Silent(
        table["account"].to_numpy(), known, table["came_back"].to_numpy().astype(float)
    )


def _silent_at(log: Log, cutoff: date) -> pl.DataFrame:
    day = pl.col("day")
    later = log.days.filter(day > cutoff, day <= cutoff + timedelta(days=WINDOW_DAYS))[
        "account"
    ].unique()
    span = (pl.col("last") - pl.col("first")).dt.total_days()
    return (
        log.days.filter(day <= cutoff)
        .group_by("account")
        .agg(
            first=day.min(),
            last=day.max(),
            days=day.n_unique(),
            amount=pl.col("amount").sum(),
        )
        .with_columns(
            silence=(pl.lit(cutoff) - pl.col("last")).dt.total_days(),
            tenure=span,
            gap=pl.when(pl.col("days") > 1).then(span / (pl.col("days") - 1)),
            came_back=pl.col("account").is_in(later.implode()),
        )
        .filter(
            pl.col("silence").is_between(*log.silent),
            pl.col("days") >= log.least_days,
        )
        .sort("account")
    )


def ravenstack() -> tuple[np.ndarray, np.ndarray]:
    """Return what a made-up company knows of its accounts, and which of them left.

    Its tables are random: nothing in them tells who leaves.
    """
    table = _raven("accounts").select(
        "account_id",
        pl.col("seats").cast(pl.Int64),
        pl.col("is_trial").eq("True").cast(pl.Int64),
        pl.col("plan_tier").rank("dense").alias("plan"),
        pl.col("signup_date").str.to_date().dt.epoch("d").alias("signed_up"),
        pl.col("churn_flag").eq("True").alias("left"),
    )
    contracts = _raven("subscriptions")
    owners = contracts.select("subscription_id", "account_id")
    usage = _raven("feature_usage").join(owners, on="subscription_id")
    for rows, numbers in (
        (contracts, ("mrr_amount",)),
        (usage, ("usage_count", "usage_duration_secs", "error_count")),
        (_raven("support_tickets"), ("resolution_time_hours", "satisfaction_score")),
    ):
        known = rows.group_by("account_id").agg(
            pl.len().alias(f"count_{numbers[0]}"),
            *(pl.col(n).cast(pl.Float64, strict=False).mean() for n in numbers),
        )
        table = table.join(known, on="account_id", how="left", maintain_order="left")
    known = table.drop("account_id", "left").cast(pl.Float64)
    return known.to_numpy(), table["left"].to_numpy().astype(float)


def _raven(name: str) -> pl.DataFrame:
    path = FOLDER / "ravenstack" / f"ravenstack_{name}.csv.gz"
    return pl.read_csv(gzip.decompress(path.read_bytes()), infer_schema=False)
