"""The guard against copies: a database that was restored sends nothing unasked."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

import structlog

from campaigns.rules.copies import Mark, behind, furthest
from campaigns.store import attempts, campaigns, changes, gate, instance, workers
from campaigns.store.session import Session, Sessions
from campaigns.store.watermark import Watermark, mark_of

logger = structlog.get_logger(__name__)

GRACE: Final = timedelta(hours=1)
"""A sender that stood still for longer starts with paused campaigns."""


class CopyGuard:
    """Tells by a mark outside whether a database may be a copy of the one it was.

    Args:
        sessions: The database.
        watermark: How far it had come.
        notices_sleep: Whether a sender that stood still for long asks first, as one
            that starts does. Simulated time jumps, so there it may not.
    """

    def __init__(
        self, sessions: Sessions, watermark: Watermark, *, notices_sleep: bool = False
    ) -> None:
        self._sessions = sessions
        self._notices_sleep = notices_sleep
        self._watermark = watermark
        self._seen: Mark | None = None
        self._alone = Lock()

    def forbids(self, session: Session, *, now: datetime) -> bool:
        """Say whether nothing may go from here, in the transaction that would let it.

        So it is where a person has to look first, whatever state the campaign is in,
        and where the machine slept: its thread may post before its heart beats.
        """
        waits = instance.waits_because(session) is not None
        return waits or self._slept(session, now=now) or self.suspects(session)

    def _slept(self, session: Session, *, now: datetime) -> bool:
        alive_at = instance.alive_at(session) if self._notices_sleep else None
        return _why_too_late(alive_at, now=now) is not None

    def suspects(self, session: Session) -> bool:
        """Say whether the mark knows of more than is read here, in a transaction.

        It is asked before attempts are committed, in the same transaction, and by every
        beat: a database may be put back while its sender runs.
        """
        try:
            # The mark is read first: what it knows by then was committed before.
            if self._is_below(self._watermark.read(), session):
                # A change that is being committed is in the mark, and not here yet.
                changes.so_far(session, alone=True)
                return self._is_below(self._watermark.read(), session)
        except OSError:
            return True
        return False

    def _is_below(self, mark: Mark | None, session: Session) -> bool:
        seen = self._seen  # before the database is read, as the mark
        here = mark_of(session)
        return mark is None or _behind(mark, seen, here) is not None

    def _see(self, here: Mark) -> None:
        """Know how far the database has come, whatever becomes of its file."""
        with self._alone:
            seen = self._seen
            if seen is None or seen.instance != here.instance:
                self._seen = here
            else:
                self._seen = furthest(seen, here)

    def ask(self, *, now: datetime) -> str | None:
        """Pause all campaigns where the database may be a copy, or slept too long.

        A copy waits for a person, who accepts it before any campaign runs again.

        Returns:
            Why nothing may go; None where it may.

        Raises:
            OSError: The mark cannot be read or written.
        """
        with self._sessions.begin() as session:
            gate.close(session)
            alive_at = instance.alive_at(session)
            # Its row is locked before the changes are, as by those who take events.
            instance.beat(session, now=now)
            # The mark knows of changes before they are committed: none is meanwhile.
            changes.so_far(session, alone=True)
            mark, seen, here = self._watermark.read(), self._seen, mark_of(session)
            waits = instance.waits_because(session)
            copied = _why_a_copy(session, mark, seen, here, alive_at=alive_at)
            because = copied or waits or _why_too_late(alive_at, now=now)
            paused = campaigns.pause_all(session, now=now, because=because or "")
            if copied is not None:
                # The same copy, once more, lies an epoch below.
                epochs = [each.epoch for each in (mark, seen, here) if each]
                here = here._replace(epoch=max(epochs) + 1)
                instance.wait_for_a_person(session, because=copied, epoch=here.epoch)
                # The mark sinks to here: if the commit fails, this lies an epoch below.
                self._watermark.set(here)
            else:
                # Before it is committed that a sender was here: that asks for a mark.
                self._raise(here)
        self._see(here)
        if because is not None:
            logger.error("sending_waits", campaigns_paused=paused, because=because)
        return because

    def beat(self, *, now: datetime) -> None:
        """Record that the sender is alive, and how far its database has come."""
        with self._sessions.begin() as session:
            is_late = self._slept(session, now=now)
            if not is_late:
                # Its row is locked before the changes are, as by those who take events.
                instance.beat(session, now=now)
            is_suspect = is_late or self.suspects(session)
            here = mark_of(session)
            if not is_suspect:
                self._raise(here)
        if is_suspect:
            self.ask(now=now)
        else:
            self._see(here)

    def raise_mark(self) -> None:
        """Let the mark know how far the database has come."""
        with self._sessions.begin() as session:
            here = mark_of(session)
            self._raise(here)
        self._see(here)

    def _raise(self, here: Mark) -> None:
        self._watermark.raise_to(
            here.instance, attempt=here.attempt, changes=here.changes, epoch=here.epoch
        )

    def remember(self, attempt: int) -> None:
        """Let the mark know of an attempt that is about to be posted.

        Raises:
            OSError: It cannot be written.
        """
        seen = self._seen
        if seen is None:
            self.raise_mark()
            return
        self._watermark.raise_to(seen.instance, attempt=attempt)
        with self._alone:
            if self._seen is not None and self._seen.attempt < attempt:
                self._seen = self._seen._replace(attempt=attempt)


def _why_a_copy(
    session: Session,
    mark: Mark | None,
    seen: Mark | None,
    here: Mark,
    *,
    alive_at: datetime | None,
) -> str | None:
    if mark is None:
        is_new = not here.attempt and not here.changes and alive_at is None
        lived = "this database lived elsewhere, and may be a copy"
        return None if is_new else lived
    because = _behind(mark, seen, here)
    if because or seen:
        return because
    by = attempts.last_posted_by(session, after=mark.attempt)
    if by is not None and not workers.is_alive(session, by):
        # Whoever mails from here raises the mark before, or was seen to.
        return "this database was sent from elsewhere meanwhile, and may be a copy"
    return None


def _behind(mark: Mark, seen: Mark | None, here: Mark) -> str | None:
    """Return what the mark, or this process, knows of and the database does not.

    The file may have been put back with the database; this process was not.
    """
    return behind(mark, here) or (behind(seen, here) if seen else None)


def _why_too_late(alive_at: datetime | None, *, now: datetime) -> str | None:
    if alive_at is not None and now - alive_at > GRACE:
        return f"no sender ran since {alive_at:%Y-%m-%d %H:%M} UTC"
    return None
