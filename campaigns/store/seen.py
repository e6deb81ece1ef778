"""What a file showed so far, kept on disk: memory does not grow with the file."""

import sqlite3
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Self


class Seen:
    """Keys with the value that each had first.

    Args:
        folder: Where the file lies; it goes with the last of its users.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._folder, prefix=".seen-") as file:
            # Open in SQLite, it may be removed: nothing is left whatever happens.
            self._database = sqlite3.connect(file.name)
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._make_table()
        return self

    def _make_table(self) -> None:
        self._database.execute(
            "CREATE TABLE seen (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID"
        )

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
