"""Model versions: which trained models there are, which is used, and who decided it."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from campaigns.domain.words import ModelAction
from campaigns.errors import NotFoundError
from campaigns.store.tables.operations import ModelDecisionRow, ModelVersionRow
from campaigns.store.upserts import upsert


class ModelVersion(NamedTuple):
    """A stored model.

    Attributes:
        version: Its name.
        kind: segments, propensity or uplift.
        path: Its folder.
        trained_at: When.
        is_active: Whether it is the one of its kind that is used.
        metadata: What is known of it.
    """

    version: str
    kind: str
    path: str
    trained_at: datetime
    is_active: bool
    metadata: dict[str, Any]


class ModelDecision(NamedTuple):
    """What was decided about a model; of no version, that none is used."""

    kind: str
    version: str | None
    action: ModelAction
    at: datetime
    because: str


def record(
    session: Session,
    version: str,
    *,
    kind: str,
    path: str,
    metadata: dict[str, Any],
    now: datetime,
) -> None:
    """Record a trained model; whether it is used stays as it is."""
    known = session.get(ModelVersionRow, version)
    values = {
        "version": version,
        "kind": kind,
        "path": path,
        "trained_at": now,
        "is_active": known is not None and known.is_active,
        "metadata": metadata,
    }
    upsert(session, ModelVersionRow, [values], key=("version",))


def decide(session: Session, decision: ModelDecision) -> None:
    """Note a decision, and let the model of its kind be the one it says.

    A model that was only trained changes nothing in what is used.
    """
    session.add(ModelDecisionRow(**decision._asdict()))
    if decision.action is ModelAction.TRAINED:
        return
    of_kind = ModelVersionRow.kind == decision.kind
    session.execute(update(ModelVersionRow).where(of_kind).values(is_active=False))
    if decision.version is not None:
        session.execute(
            update(ModelVersionRow)
            .where(ModelVersionRow.version == decision.version)
            .values(is_active=True)
        )


def active(session: Session, kind: str) -> ModelVersion | None:
    """Return the model of `kind` that is used, or None before the first training."""
    query = select(ModelVersionRow).where(
        ModelVersionRow.kind == kind, ModelVersionRow.is_active
    )
    row = session.scalar(query)
    return None if row is None else _to_version(row)


def stored(session: Session) -> list[ModelVersion]:
    """Return all models, kind by kind, the newest first."""
    query = select(ModelVersionRow).order_by(
        ModelVersionRow.kind, ModelVersionRow.trained_at.desc(), ModelVersionRow.version
    )
    return [_to_version(row) for row in session.scalars(query)]


def is_stored(session: Session, version: str) -> bool:
    """Say whether there is a model of a version."""
    return session.get(ModelVersionRow, version) is not None


def find(session: Session, beginning: str) -> ModelVersion:
    """Return the model whose version begins so.

    Raises:
        NotFoundError: There is none, or more than one.
    """
    every = stored(session)
    found = [each for each in every if each.version.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.version for each in found or every) or "none"
    many = f"{len(found)} models begin with" if found else "no model begins with"
    raise NotFoundError(f"{many} {beginning!r}; there are: {names}")


def decisions(session: Session, kind: str) -> list[ModelDecision]:
    """Return what was decided about models of a kind, the latest first."""
    query = select(ModelDecisionRow).where(ModelDecisionRow.kind == kind)
    rows = session.scalars(query.order_by(ModelDecisionRow.id.desc()))
    return [
        ModelDecision(
            row.kind, row.version, ModelAction(row.action), row.at, row.because
        )
        for row in rows
    ]


def _to_version(row: ModelVersionRow) -> ModelVersion:
    return ModelVersion(
        row.version,
        row.kind,
        row.path,
        row.trained_at,
        row.is_active,
        row.metadata_,
    )
