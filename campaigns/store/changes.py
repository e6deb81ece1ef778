"""Changes: transactions that told the database something a copy of before lacks.

They are counted, each at its commit, and the mark outside the database knows of one
before it is committed: a copy that is put in the database's place lies below the mark.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import structlog
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session, sessionmaker

from campaigns.store import instance
from campaigns.store.tables.delivery import AttemptRow
from campaigns.store.tables.operations import ChangesRow

logger = structlog.get_logger(__name__)


class ChangeMark(Protocol):
    """The mark outside the database, as far as changes are concerned."""

    def count_change(
        self, name: str, number: int, *, may_begin: Callable[[], bool]
    ) -> bool:
        """Raise it for an instance's change of a number; say whether it was raised."""

    def take_back_change(self) -> None:
        """Lower it by one."""


_NOTED: Final = "change noted"
_RAISED: Final = "mark raised by"


def note(session: Session) -> None:
    """Have this transaction counted: it adds events, noes, returns or an import."""
    session.info[_NOTED] = True


def so_far(session: Session, *, alone: bool = False) -> int:
    """Return how many changes were counted.

    Args:
        session: The transaction.
        alone: Wait for those that are being committed, and let none begin to be.
    """
    query = select(ChangesRow.count)
    return session.scalar(query.with_for_update() if alone else query) or 0


def count_at_commit(
    sessions: sessionmaker[Session], watermark: ChangeMark | None
) -> None:
    """Count each transaction of `sessions` that is noted, and raise the mark first.

    A process that dies between the mark and the commit leaves the mark too high: then
    nobody can tell whether the change is lost, and the next start asks a person.
    """

    def count(session: Session) -> None:
        if session.info.pop(_NOTED, False):
            number = _add_one(session)
            if watermark is not None:
                session.info[_RAISED] = _raise(session, watermark, number)

    def take_back(session: Session) -> None:
        session.info.pop(_NOTED, None)
        if watermark is not None and session.info.pop(_RAISED, 0):
            watermark.take_back_change()

    event.listen(sessions, "before_commit", count)
    event.listen(sessions, "after_rollback", take_back)


def _add_one(session: Session) -> int:
    """Count one, as the last that the transaction does: others wait for its commit."""
    add = update(ChangesRow).values(count=ChangesRow.count + 1)
    return session.execute(add.returning(ChangesRow.count)).scalar_one()


def _raise(session: Session, watermark: ChangeMark, number: int) -> bool:
    try:
        name = instance.name(session)
        # Where the mark of one that has lived is missing, a start must ask.
        is_new = partial(_is_new, session, number)
        return watermark.count_change(name, number, may_begin=is_new)
    except OSError:
        # A no is worth more than a mark, which the next beat of a sender raises.
        logger.exception("mark_not_raised")
        return False


def _is_new(session: Session, number: int) -> bool:
    return number == 1 and session.scalar(select(AttemptRow.id).limit(1)) is None
