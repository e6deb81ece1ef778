"""What a file showed so far, kept on disk: memory does not grow with the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile


class Seen:
    """Keys with the value that each had first.

    Args:
        database: Empty.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "CREATE TABLE seen (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
        )

    def first(self, key: str, value: str) -> str | None:
        """Return a key's first value; None where this is it."""
        done = self._database.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, value)
        )
        if done.rowcount:
            return None
        found = self._database.execute("SELECT value FROM seen WHERE key = ?", (key,))
        return str(found.fetchone()[0])


@contextmanager
def nothing_seen(folder: Path) -> Iterator[Seen]:
    """Yield a Seen whose file lies in a folder and goes with the context."""
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=".seen-") as file:
        database = sqlite3.connect(file.name)
        seen = Seen(database)
    # Open in SQLite, its name is gone already: nothing is left whatever happens.
    with closing(database):
        yield seen
