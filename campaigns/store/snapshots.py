"""Feature snapshots: what was known of the accounts when they were scored.

The table lies in a Parquet file; its row says which definition made it and the hash of
its content, so that a score can be made again, and a changed file is noticed.
"""

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.errors import ConfigError, NotFoundError
from campaigns.store.tables.operations import SnapshotRow
from campaigns.store.upserts import upsert


class Snapshot(NamedTuple):
    """A stored table of features.

    Attributes:
        as_of: The date the features are of.
        definition: The version of the features' definitions.
        content_hash: Of the table.
        accounts: How many rows it has.
        file: Its name in the folder of snapshots.
        drift: How it differs from what the model learnt from, as plain values.
    """

    as_of: datetime
    definition: str
    content_hash: str
    accounts: int
    file: str
    drift: list[dict[str, Any]]


def content_hash(features: pl.DataFrame) -> str:
    """Return a hash of a table's columns and values."""
    digest = sha256(",".join(features.columns).encode())
    digest.update(features.sort("account").write_csv().encode())
    return digest.hexdigest()


def keep(
    session: Session,
    folder: Path,
    features: pl.DataFrame,
    *,
    as_of: datetime,
    definition: str,
    drift: list[dict[str, Any]],
) -> Snapshot:
    """Store a table of features; one of the same date takes the place of an earlier."""
    digest = content_hash(features)
    file = f"{as_of:%Y%m%dT%H%M%S%f}-{digest[:12]}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{file}.new"
    features.write_parquet(beside)
    beside.replace(folder / file)
    snapshot = Snapshot(as_of, definition, digest, features.height, file, drift)
    upsert(session, SnapshotRow, [snapshot._asdict()], key=("as_of",))
    return snapshot


def read(folder: Path, snapshot: Snapshot) -> pl.DataFrame:
    """Return the table of a snapshot.

    Raises:
        ConfigError: Its file is missing, unreadable, or was changed since.
    """
    path = folder / snapshot.file
    remedy = "put it back from a backup"
    try:
        features = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {remedy}") from error
    if content_hash(features) != snapshot.content_hash:
        raise ConfigError(f"{path}: was changed since it was stored; {remedy}")
    return features


def sweep(session: Session, folder: Path) -> None:
    """Delete the files that no snapshot names: those of earlier tries."""
    named = set(session.scalars(select(SnapshotRow.file)))
    for path in folder.glob("*.parquet"):
        if path.name not in named:
            path.unlink()


def of(session: Session, as_of: datetime) -> Snapshot:
    """Return the snapshot of a date.

    Raises:
        NotFoundError: Nothing was scored as of that date.
    """
    row = session.get(SnapshotRow, as_of)
    if row is None:
        raise NotFoundError(f"no accounts were scored as of {as_of.isoformat()}")
    return _to_snapshot(row)


def latest(session: Session) -> Snapshot | None:
    """Return the newest snapshot, or None."""
    query = select(SnapshotRow).order_by(SnapshotRow.as_of.desc()).limit(1)
    row = session.scalar(query)
    return None if row is None else _to_snapshot(row)


def _to_snapshot(row: SnapshotRow) -> Snapshot:
    return Snapshot(
        row.as_of, row.definition, row.content_hash, row.accounts, row.file, row.drift
    )
