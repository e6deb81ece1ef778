"""Perform a job once for a due time, and write down how it ended."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import structlog
from structlog.contextvars import bound_contextvars

from campaigns.clock import Clock
from campaigns.errors import WinbackError
from campaigns.store import runs
from campaigns.store.session import Session, Sessions

logger = structlog.get_logger(__name__)

Ends: TypeAlias = deque[Callable[[Session], None]]
"""How runs ended that could not be written yet."""


def perform(
    sessions: Sessions,
    clock: Clock,
    ends: Ends,
    job: str,
    due_at: datetime,
    act: Callable[[], dict[str, Any]],
) -> None:
    """Do what is due unless it was done, or failed and is to be tried later.

    Args:
        sessions: The database.
        clock: The time.
        ends: Is where its end is kept until it is written.
        job: Its name.
        due_at: What it is due for.
        act: Does it; returns what came of it.
    """
    with sessions.begin() as session:
        run = runs.begin(session, job, due_at=due_at, now=clock())
    if run is None:
        return
    result: dict[str, Any] | None = None
    error: str | None = None
    with bound_contextvars(run=run, job=job):
        try:
            result = act()
        except WinbackError as cause:
            error = str(cause)
            logger.exception("run_failed")
        except Exception as cause:  # a run ends here, and the others go on
            error = f"{type(cause).__name__}: the log says more"
            logger.exception("run_failed")
        else:
            logger.info("run_done")
    end = partial(
        runs.end,
        run=run,
        now=clock(),
        result=result,
        error=error,
        # A later cohort enrols nobody of an earlier one.
        replaces_earlier=not job.startswith("enrol "),
    )
    ends.append(end)
    write_ends(sessions, ends)


def write_ends(sessions: Sessions, ends: Ends) -> None:
    """Write how runs ended; what cannot be written is kept for the next time."""
    while ends:
        end = ends.popleft()
        try:
            with sessions.begin() as session:
                end(session)
        except Exception:
            ends.appendleft(end)
            raise
