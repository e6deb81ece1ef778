"""What notebooks work with: the workspace's data as tables."""

from typing import Any, Final

import polars as pl

from campaigns.domain.words import ModelKind
from campaigns.errors import NotFoundError
from campaigns.store import model_versions, scores, snapshots
from campaigns.wiring.workspace import Workspace

_OPINIONS: Final[dict[str, Any]] = {
    "account": pl.String,
    "segment": pl.String,
    "confidence": pl.Float64,
    "reasons": pl.List(pl.String),
    "chance": pl.Float64,
    "uplift": pl.Float64,
}


def churned_accounts(workspace: Workspace) -> pl.DataFrame:
    """Return the accounts scored last, with what is thought and known of each.

    Returns:
        account, segment, confidence, reasons, chance, uplift, and the features.

    Raises:
        NotFoundError: Nothing was scored yet.
    """
    with workspace.sessions.begin() as session:
        as_of = scores.latest_batch(session, before=workspace.clock())
        if as_of is None:
            raise NotFoundError("nothing was scored yet; run `winback score`")
        used = model_versions.active(session, ModelKind.SEGMENTS)
        thought = scores.opinions(session, as_of, model=used.version if used else "")
        snapshot = snapshots.of(session, as_of)
    known = snapshots.read(workspace.root / "snapshots", snapshot)
    table = pl.DataFrame(thought, schema=_OPINIONS)
    return table.join(known, on="account", how="inner", maintain_order="left")
