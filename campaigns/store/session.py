"""How the database is opened, and how transactions are begun.

SQLite: rollback journal and synchronous FULL, so that a committed claim survives a
power cut, and every transaction begins IMMEDIATE, so that two writers wait for each
other instead of failing half way.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from campaigns.errors import ActionRefusedError, ConfigError
from campaigns.store.changes import count_at_commit
from campaigns.store.watermark import Watermark

Sessions = sessionmaker[Session]
Result = TypeVar("Result")
__all__ = [
    "Engine",
    "OperationalError",
    "Session",
    "Sessions",
    "WatchedSessions",
    "check_sound",
    "database_trouble",
    "is_sound",
    "make_sessions",
    "open_engine",
    "write_persistently",
]

logger = structlog.get_logger(__name__)

_BUSY_TIMEOUT_MS = 30_000
_TRIES = 60
_LONGEST_WAIT_SECONDS = 5.0
_SYNCHRONOUS_FULL = 2
_PUT_BACK = "put back a backup: see docs/how-to/restore.md"


def open_engine(url: str) -> Engine:
    """Return an engine for a SQLite or PostgreSQL `url`.

    Its errors never quote values: they could be addresses.

    Raises:
        ConfigError: The database is of another kind or cannot be opened.
    """
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True)
        event.listen(engine, "connect", _configure_sqlite)
        if parsed.database:
            _follow_file(engine, Path(parsed.database))
        event.listen(engine, "begin", _begin_immediate)
        return engine
    if parsed.drivername == "postgresql+psycopg":
        try:
            return create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "PostgreSQL needs its driver: pip install 'winback[postgres]'"
            ) from error
    raise ConfigError(
        f"database url: {parsed.drivername} is not supported; use sqlite:///FILE or "
        "postgresql://…"
    )


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401
    # SQLAlchemy's own BEGIN (below) takes the place of the driver's.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = TRUNCATE")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    if level != _SYNCHRONOUS_FULL:
        raise ConfigError("SQLite refused synchronous = FULL; a claim could be lost")
    cursor.close()


def _follow_file(engine: Engine, path: Path) -> None:
    """Open the file anew where another was put in its place: the old one is no more."""

    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(path)

    def check(_connection: object, record: ConnectionPoolEntry, _: object) -> None:
        if _identity(path) not in {None, record.info["file"]}:
            raise DisconnectionError(f"{path} was replaced")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", check)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _begin_immediate(connection: Any) -> None:  # noqa: ANN401
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_sessions(engine: Engine, watermark: Watermark | None = None) -> Sessions:
    """Return what transactions are begun with: `with sessions.begin() as session`.

    Args:
        engine: The database.
        watermark: Is raised before a change is committed, if there is one.
    """
    sessions = sessionmaker(engine, expire_on_commit=False)
    count_at_commit(sessions, watermark)
    return sessions


class WatchedSessions(sessionmaker[Session]):
    """Sessions whose transactions are told of: begun, about to commit, committed.

    Args:
        engine: The database.
        watch: Is told; what it raises before a commit rolls back.
        watermark: Is raised before a change is committed, if there is one.
    """

    def __init__(
        self,
        engine: Engine,
        watch: Callable[[str], None],
        watermark: Watermark | None = None,
    ) -> None:
        super().__init__(engine, expire_on_commit=False)
        count_at_commit(self, watermark)
        self._watch = watch

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Begin a transaction that is committed at the end of the context."""
        self._watch("before begin")
        with super().begin() as session:
            yield session
            self._watch("before commit")
        self._watch("after commit")


def write_persistently(
    sessions: Sessions,
    write: Callable[[Session, int], Result],
    *,
    sleep: Callable[[float], None],
) -> Result:
    """Run `write` in a transaction, again and again until it is committed.

    For what must not be forgotten, such as SES's answers: a database that is busy, full
    or gone for a moment is waited for. `write` is told its number: from the second on,
    what it wrote before may have been committed.

    Raises:
        OperationalError: It stayed away for minutes; the process should end, and the
            start-up sweep will put right what was left.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            with sessions.begin() as session:
                result = write(session, attempt)
        except OperationalError:
            if attempt == _TRIES:
                raise
            logger.warning("write_repeated", attempt=attempt)
            sleep(min(_LONGEST_WAIT_SECONDS, 0.05 * 2**attempt))
        else:
            return result
    raise AssertionError("the last attempt raises or returns")


def is_damage(error: BaseException) -> bool:
    """Say whether an error tells that a SQLite file is damaged."""
    if isinstance(error, DatabaseError):
        error = error.orig or error
    # That class itself: its subclasses tell of values, of statements, of a busy file.
    return type(error) is sqlite3.DatabaseError


def database_trouble(error: BaseException) -> str | None:
    """Return what a database says of its own trouble; None of any other error."""
    is_away = isinstance(error, (OperationalError, sqlite3.OperationalError))
    if not is_away and not is_damage(error):
        return None
    cause = error.orig if isinstance(error, DatabaseError) and error.orig else error
    lines = str(cause).strip().splitlines()
    told = lines[0] if lines else type(cause).__name__
    return f"{told}; {_PUT_BACK}" if is_damage(error) else told


def is_sound(engine: Engine) -> bool:
    """Say whether SQLite finds its file undamaged; other databases check themselves."""
    if engine.dialect.name != "sqlite":
        return True
    # Not in a transaction of ours: those keep writers out.
    connection = engine.raw_connection()
    try:
        found = connection.cursor().execute("PRAGMA quick_check").fetchone()
        return bool(found == ("ok",))
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    finally:
        connection.close()


def check_sound(engine: Engine) -> None:
    """Refuse to send from a damaged file: what it lost would be mailed again.

    Raises:
        ActionRefusedError: SQLite finds it damaged.
    """
    if not is_sound(engine):
        raise ActionRefusedError(
            f"{engine.url.database}: the database is damaged; {_PUT_BACK}"
        )
