"""Options that several commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace", "-w", envvar="WINBACK_WORKSPACE", help="the workspace's folder"
    ),
]


def in_utc(moment: datetime | None, otherwise: datetime) -> datetime:
    """Return a moment given on the command line, which is UTC unless it says."""
    if moment is None:
        return otherwise
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def workspace_in_use(default: str) -> Path:
    """Return the workspace that WINBACK_WORKSPACE names, for notebooks."""
    from campaigns.config import workspace_from_environment

    return workspace_from_environment() or Path(default)
