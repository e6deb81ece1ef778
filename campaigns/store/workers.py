"""Workers: who may send from a database, and which of them are dead.

SQLite: one process sends, and holds a lock on a file beside the database. PostgreSQL:
each worker holds an advisory lock of its own, on a connection that is used for nothing
else. Either goes with the process, so a killed worker leaves none behind, and by that
the others know what it left: its claims were never posted, its posts are in doubt.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from campaigns.errors import SenderBusyError
from campaigns.store.attempts import workers_in_hand

logger = structlog.get_logger(__name__)

_RUNNER: Final = "the one that schedules"
_TRY: Final = text("SELECT pg_try_advisory_lock(:key)")
_IS_HELD: Final = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    " AND (classid::bigint << 32) | objid::bigint = :key AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NOTICE_THE_VANISHED: Final = text(
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;"
    " SET tcp_keepalives_count = 4"
)
"""A worker whose machine is cut off is known to be gone within half a minute."""
_TRY_BRIEFLY: Final = text("SELECT pg_try_advisory_xact_lock(:key)")


class Presence:
    """That a worker is there; others see it end when the process does.

    Args:
        engine: The database.
        worker: Its name; no other ever has it.
        schedules: Whether it is the one that also schedules: there is one at a time.

    Attributes:
        worker: Its name.
    """

    def __init__(self, engine: Engine, worker: str, *, schedules: bool) -> None:
        self._engine = engine
        self.worker = worker
        self._names = (worker, _RUNNER) if schedules else (worker,)
        self._connection: Connection | None = None

    def hold(self) -> bool:
        """Be there, also after the connection was lost.

        Returns:
            Whether it is there anew: the database may have been put back meanwhile.

        Raises:
            SenderBusyError: Another process is there under one of the names.
        """
        if self._engine.dialect.name == "sqlite":
            return False
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return False
        except SQLAlchemyError:  # once lost, SQLAlchemy's own; before, the driver's
            logger.warning("presence_lost")
            self.end()
        opened = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        opened.execute(_NOTICE_THE_VANISHED)
        for name in self._names:
            if not opened.execute(_TRY, {"key": _key(name)}).scalar():
                _leave(opened)
                raise SenderBusyError(
                    _busy(f"the database {self._engine.url.database}")
                )
        self._connection = opened
        return True

    def end(self) -> None:
        """Be gone."""
        if self._connection is not None:
            _leave(self._connection)
            self._connection = None


def _leave(connection: Connection) -> None:
    """Close a connection for good: the locks are its own, not the pool's."""
    with suppress(SQLAlchemyError):
        # The server would notice that we left, but a moment later.
        connection.execute(text("SELECT pg_advisory_unlock_all()"))
    connection.invalidate()
    connection.close()


@contextmanager
def at_work(engine: Engine, worker: str, *, schedules: bool) -> Iterator[Presence]:
    """Be there as a worker while the context lasts.

    Args:
        engine: The database.
        worker: Its name; no other ever has it.
        schedules: Whether it is the one that also schedules: there is one at a time.

    Raises:
        SenderBusyError: Another process sends from a SQLite database, or schedules.
    """
    presence = Presence(engine, worker, schedules=schedules)
    if engine.dialect.name == "sqlite":
        with _file_lock(_lock_of(engine)):
            yield presence
        return
    presence.hold()
    try:
        yield presence
    finally:
        presence.end()


def is_sending(engine: Engine) -> bool:
    """Say whether a process runs that schedules and sends."""
    if engine.dialect.name == "sqlite":
        return _is_locked(_lock_of(engine))
    with engine.connect() as connection:
        return bool(connection.scalar(_IS_HELD, {"key": _key(_RUNNER)}))


def is_alive(session: Session, worker: str) -> bool:
    """Say whether a worker is there, on this very database.

    SQLite: no other than who asks, which holds the file's lock.
    """
    if session.get_bind().dialect.name == "sqlite":
        return False
    return not session.scalar(_TRY_BRIEFLY, {"key": _key(worker)})


def dead(session: Session, *, but: str) -> list[str]:
    """Return the workers that hold messages and are dead; until the transaction ends.

    Args:
        session: The transaction.
        but: Who asks, and is not dead.
    """
    others = [name for name in workers_in_hand(session) if name != but]
    return [name for name in others if not is_alive(session, name)]


def _key(name: str) -> int:
    digest = blake2b(f"winback {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _lock_of(engine: Engine) -> Path:
    return Path(f"{engine.url.database}.sender-lock")


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # Shared, so that two who ask do not take each other for a sender.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SenderBusyError(_busy(f"this database ({path} is locked)")) from error
        yield


def _busy(what: str) -> str:
    return (
        f"another process already sends from {what}; stop it first: two schedulers, or "
        "two senders on SQLite, are never allowed"
    )
