"""The watermark: a file outside the database that knows how far it had come.

A database that was restored, or copied elsewhere, lies below it: what was mailed and
who said no since the copy is not known there.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.rules.copies import NOBODYS, Mark, furthest
from campaigns.store.tables.delivery import AttemptRow
from campaigns.store.tables.operations import ChangesRow, InstanceRow

logger = structlog.get_logger(__name__)


def mark_of(session: Session) -> Mark:
    """Return how far a database has come."""
    name, attempt, number, epoch = session.execute(_HERE).one()
    return Mark(name, attempt or 0, number, epoch)


_HERE: Final = select(
    InstanceRow.name,
    select(func.max(AttemptRow.id)).scalar_subquery(),
    select(ChangesRow.count).scalar_subquery(),
    InstanceRow.epoch,
)


class Watermark:
    """The mark in a file; raised before a mail goes out or a no is committed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mark | None:
        """Return the mark; nobody's where it is damaged, None where there is none.

        Raises:
            OSError: It cannot be read.
        """
        try:
            found = orjson.loads(self._path.read_bytes())
            attempt, changes = int(found["attempt"]), int(found["changes"])
            epoch = int(found.get("epoch", 0))
            return Mark(str(found["instance"]), attempt, changes, epoch)
        except FileNotFoundError:
            return None
        except (
            orjson.JSONDecodeError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ):
            logger.warning("mark_not_understood", file=str(self._path))
            return NOBODYS

    def set(self, mark: Mark) -> None:
        """Set the mark: all of it or nothing."""
        with self._alone():
            self._write(mark)

    def _write(self, mark: Mark) -> None:
        part = self._path.with_suffix(".part")
        part.write_bytes(orjson.dumps(mark._asdict()))
        # Not forced to disk: what a power cut takes of it makes the mark too low, and
        # then a copy is not known for one. Each mail would wait for the disk otherwise.
        part.replace(self._path)

    def raise_to(
        self, name: str, *, attempt: int = 0, changes: int = 0, epoch: int | None = None
    ) -> None:
        """Raise the mark of an instance; within an epoch it never sinks.

        The mark of another instance is left alone: a sender that looks then asks.

        Args:
            name: The instance's.
            attempt: Its latest attempt.
            changes: How many it counted.
            epoch: Which; the mark's own if None.
        """
        with self._alone():
            before = self.read()
            if before is not None:
                if before.instance != name:
                    return
                epoch = before.epoch if epoch is None else epoch
            after = Mark(name, attempt, changes, epoch or 0)
            if before is not None:
                after = furthest(before, after)
            if after != before:
                self._write(after)

    def count_change(
        self, name: str, number: int, *, may_begin: Callable[[], bool]
    ) -> bool:
        """Raise the mark for the change that is about to be committed as `number`.

        A mark that was above all changes before this one stays above them all: what a
        copy lacks is not made up for by what it is told since.

        Args:
            name: Whose change it is.
            number: Which, counted from 1.
            may_begin: Says, where there is no mark, whether one may begin.

        Returns:
            Whether it was raised; not where it is of another database, or none began.
        """
        with self._alone():
            before = self.read()
            if before is None and may_begin():
                before = Mark(name, attempt=0, changes=0)
            if before is None or before.instance != name:
                return False
            lost = max(0, before.changes - (number - 1))
            self._write(before._replace(changes=number + lost))
            return True

    def take_back_change(self) -> None:
        """Lower the mark again: the change that it was raised for was not committed."""
        with self._alone():
            before = self.read()
            if before is not None and before != NOBODYS:
                self._write(before._replace(changes=before.changes - 1))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from the file: each has its own object."""
        with self._path.with_suffix(".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
