"""Start a sender: put right what was left, and send nothing unasked from a copy."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from campaigns.store import attempts, campaigns, changes, gate, instance, workers
from campaigns.store.session import Session, Sessions
from campaigns.store.watermark import Mark, Watermark, mark_of

logger = structlog.get_logger(__name__)

GRACE: Final = timedelta(hours=1)
"""A sender that stood still for longer starts with paused campaigns."""


def restart(
    sessions: Sessions, watermark: Watermark, *, worker: str, now: datetime
) -> str | None:
    """Make a database ready to be sent from by a worker that just began.

    What killed ones left is put right. Where the database may be a copy, or stood still
    for long, its campaigns are paused.

    Returns:
        Why campaigns were paused; None if none was.
    """
    sweep(sessions, worker=worker, now=now)
    return guard(sessions, watermark, now=now)


def guard(sessions: Sessions, watermark: Watermark, *, now: datetime) -> str | None:
    """Pause all campaigns where the database may be a copy, or stood still for long.

    Returns:
        Why campaigns were paused; None if none was.
    """
    with sessions.begin() as session:
        # The mark knows of changes before they are committed: none is, while we look.
        gate.close(session)
        changes.so_far(session, alone=True)
        mark = watermark.read()
        here = mark_of(session)
        because = _reason_to_wait(session, mark, here, now=now)
        paused = campaigns.pause_all(session, now=now, because=because or "")
        if because is not None:
            # The mark sinks to here; the same copy, once more, lies an epoch below it.
            epoch = max(here.epoch, mark.epoch if mark else 0) + 1
            instance.begin_epoch(session, epoch)
        instance.beat(session, now=now)
    if because is None:
        _raise(watermark, here)
        return None
    with sessions.begin() as session:
        changes.so_far(session, alone=True)
        watermark.set(mark_of(session))
    if not paused:
        return None
    logger.error("campaigns_paused", campaigns=paused, because=because)
    return because


def sweep(sessions: Sessions, *, worker: str, now: datetime) -> None:
    """Plan again what dead workers had claimed; what they were posting is unknown."""
    with sessions.begin() as session:
        for name in workers.dead(session, but=worker):
            planned, unknown = attempts.sweep(session, name, now=now)
            logger.warning("swept", of=name, planned_again=planned, unknown=unknown)


def _reason_to_wait(
    session: Session, mark: Mark | None, here: Mark, *, now: datetime
) -> str | None:
    alive_at = instance.alive_at(session)
    if mark is None:
        if here.attempt == 0:
            return None
        return "this database was sent from elsewhere, and may be a copy"
    because = _behind(mark, here)
    if because is not None:
        return because
    if alive_at is not None and now - alive_at > GRACE:
        return f"no sender ran since {alive_at:%Y-%m-%d %H:%M} UTC"
    return None


def _behind(mark: Mark, here: Mark) -> str | None:
    """Return what a database does not know that lies below the mark, or None."""
    if mark.instance != here.instance:
        return "this workspace sent from another database"
    if here.epoch < mark.epoch:
        return "this database was restored from a copy that was restored before"
    lost, forgotten = mark.attempt - here.attempt, mark.changes - here.changes
    if lost > 0 or forgotten > 0:
        return (
            "this database was restored, or its process ended amid a commit: it does "
            f"not know of the last {max(0, lost)} posts and {max(0, forgotten)} "
            "changes (events, noes, returns, imports, pauses)"
        )
    return None


def beat(sessions: Sessions, watermark: Watermark, *, now: datetime) -> None:
    """Record that the sender is alive, and how far its database has come."""
    with sessions.begin() as session:
        instance.beat(session, now=now)
    raise_mark(sessions, watermark)


def raise_mark(sessions: Sessions, watermark: Watermark) -> None:
    """Let the mark know how far the database has come: a copy of before is known."""
    with sessions.begin() as session:
        here = mark_of(session)
    _raise(watermark, here)


def _raise(watermark: Watermark, here: Mark) -> None:
    watermark.raise_to(
        here.instance, attempt=here.attempt, changes=here.changes, epoch=here.epoch
    )
