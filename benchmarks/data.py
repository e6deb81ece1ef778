"""Input for the benchmarks, made from a seed: the same sizes, the same bytes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 180
AS_OF = BEGAN + timedelta(days=DAYS + 10)
_US = 1_000_000
FEATURES = (
    *(f"reports.f{number}" for number in range(6)),
    "onboarding.wizard",
    "onboarding.team",
    "onboarding.data",
    "integration.slack",
    "integration.salesforce",
    "integration.warehouse",
)


def account_ids(accounts: int) -> pl.Series:
    return pl.Series("account", [f"acc-{number:06}" for number in range(accounts)])


def _events(rng, rows: int, accounts: int, *, first_day: int, days: int):
    """Return events with what they are made of, in order of time."""
    account = rng.integers(0, accounts, rows)
    seconds = np.sort(rng.integers(0, 86_400 * days, rows)) + 86_400 * first_day
    feature = rng.integers(0, len(FEATURES), rows)
    at = pl.Series("at", seconds * _US).cast(pl.Duration("us")) + BEGAN
    frame = pl.DataFrame(
        {
            "account": account_ids(accounts).gather(account),
            "at": at.cast(pl.Datetime("us", "UTC")),
            "feature": pl.Series(FEATURES).gather(feature),
            "contact": pl.Series(account * 5 + rng.integers(0, 5, rows))
            .cast(pl.String)
            .str.pad_start(9, "p"),
            "count": rng.integers(1, 5, rows),
        }
    )
    failed = (feature >= len(FEATURES) - 3) & (rng.random(rows) < 0.2)
    return frame, failed


def write_usage_csv(path: Path, *, rows: int, accounts: int) -> None:
    """Write a usage export: rows in order of time, piece by piece."""
    rng = np.random.default_rng(1)
    pieces = max(1, rows // 1_000_000)
    days = max(1, DAYS // pieces)
    with path.open("wb") as file:
        for piece in range(pieces):
            frame, _ = _events(
                rng, rows // pieces, accounts, first_day=piece * days, days=days
            )
            text = frame.with_columns(at=pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            text.write_csv(file, include_header=piece == 0)


def write_lake(root: Path, *, rows: int, accounts: int) -> None:
    """Write day files as the lake keeps them."""
    rng = np.random.default_rng(2)
    for number in range(DAYS):
        frame, failed = _events(rng, rows // DAYS, accounts, first_day=number, days=1)
        day = date(2025, 1, 1) + timedelta(days=number)
        path = root / str(day.year) / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.with_columns(
            outcome=pl.Series(np.where(failed, "failed", "ok")),
            properties=pl.lit("{}"),
            id=pl.lit(None, pl.String),
        ).sort("account", "at", "feature").write_parquet(
            path, compression="zstd", compression_level=1
        )


def write_contacts_csv(path: Path, *, rows: int, accounts: int) -> None:
    """Write contacts, each with an address of its own."""
    ids = account_ids(accounts)
    number = pl.Series(np.arange(rows))
    text = number.cast(pl.String)
    pl.DataFrame(
        {
            "id": "con-" + text,
            "account": ids.gather(number % accounts),
            "email": "p" + text + "@example.com",
            "first_name": "Ada",
            "country": "DE",
            "time_zone": "Europe/Berlin",
        }
    ).write_csv(path)


def write_records(folder: Path, *, accounts: int) -> None:
    """Write what is known beside the events, as Parquet."""
    rng = np.random.default_rng(3)
    ids = account_ids(accounts)
    number = pl.Series(np.arange(accounts))
    moments = BEGAN + pl.Series(number % 100).cast(pl.Int64) * timedelta(days=-1)
    pl.DataFrame(
        {"account": ids, "churned_at": AS_OF - timedelta(days=10)}
    ).write_parquet(folder / "churned.parquet")
    pl.DataFrame({"id": ids, "created_at": moments}).write_parquet(
        folder / "accounts.parquet"
    )
    pl.DataFrame(
        {
            "account": ids,
            "plan_is_free": False,
            "seats": rng.integers(1, 50, accounts),
            "mrr_minor": rng.integers(1000, 90_000, accounts),
            "discount_minor": rng.integers(0, 500, accounts),
            "started_at": moments,
            "ended_at": AS_OF - timedelta(days=10),
            "end_reason": pl.Series(["price", None, "other"]).gather(number % 3),
        }
    ).write_parquet(folder / "subscriptions.parquet")
    some = ids.gather(rng.integers(0, accounts, accounts))
    when = BEGAN + pl.Series(rng.integers(0, DAYS, accounts)) * timedelta(days=1)
    pl.DataFrame({"account": some, "opened_at": when}).write_parquet(
        folder / "tickets.parquet"
    )
    score = rng.integers(0, 11, accounts)
    pl.DataFrame({"account": some, "at": when, "score": score}).write_parquet(
        folder / "nps.parquet"
    )
