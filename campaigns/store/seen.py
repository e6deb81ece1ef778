"""What a file showed so far, kept on disk: memory does not grow with the file."""

import sqlite3
from types import TracebackType
from typing import Self


class Seen:
    """Keys with the value that each had first."""

    def __enter__(self) -> Self:
        # A database without a name is a file of SQLite's that goes when it is closed.
        self._database = sqlite3.connect("")
        self._database.execute(
            "CREATE TABLE seen (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def first(self, key: str, value: str) -> str | None:
        """Return a key's first value; None where this is it."""
        done = self._database.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, value)
        )
        if done.rowcount:
            return None
        found = self._database.execute("SELECT value FROM seen WHERE key = ?", (key,))
        return str(found.fetchone()[0])
