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
