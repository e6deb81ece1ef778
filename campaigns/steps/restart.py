"""Start a sender: put right what was left, and send nothing unasked from a copy."""

from datetime import datetime

import structlog

from campaigns.steps.copies import CopyGuard
from campaigns.store import attempts, workers
from campaigns.store.session import Sessions

logger = structlog.get_logger(__name__)


def restart(
    sessions: Sessions, guard: CopyGuard, *, worker: str, now: datetime
) -> str | None:
    """Make a database ready to be sent from by a worker that just began.

    What killed ones left is put right. Where the database may be a copy, or stood still
    for long, its campaigns are paused.

    Returns:
        Why nothing may go; None where it may.
    """
    sweep(sessions, worker=worker, now=now)
    return guard.ask(now=now)


def sweep(sessions: Sessions, *, worker: str, now: datetime) -> None:
    """Plan again what dead workers had claimed; what they were posting is unknown."""
    with sessions.begin() as session:
        for name in workers.dead(session, but=worker):
            planned, unknown = attempts.sweep(session, name, now=now)
            logger.warning("swept", of=name, planned_again=planned, unknown=unknown)
