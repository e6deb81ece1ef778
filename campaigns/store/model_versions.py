"""Model versions: which trained models there are, and which is used."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from campaigns.store.tables.operations import ModelVersionRow
from campaigns.store.upserts import upsert


class ModelVersion(NamedTuple):
    """A stored model: its version, where its folder is, and what is known of it."""

    version: str
    path: str
    trained_at: datetime
    metadata: dict[str, Any]


def activate(
    session: Session,
    version: str,
    *,
    kind: str,
    path: str,
    metadata: dict[str, Any],
    now: datetime,
) -> None:
    """Record a trained model and make it the one that is used."""
    session.execute(
        update(ModelVersionRow)
        .where(ModelVersionRow.kind == kind)
        .values(is_active=False)
    )
    values = {
        "version": version,
        "kind": kind,
        "path": path,
        "trained_at": now,
        "is_active": True,
        "metadata": metadata,
    }
    upsert(session, ModelVersionRow, [values], key=("version",))


def active(session: Session, kind: str) -> ModelVersion | None:
    """Return the model of `kind` that is used, or None before the first training."""
    query = select(ModelVersionRow).where(
        ModelVersionRow.kind == kind, ModelVersionRow.is_active
    )
    row = session.scalar(query)
    if row is None:
        return None
    return ModelVersion(row.version, row.path, row.trained_at, row.metadata_)
