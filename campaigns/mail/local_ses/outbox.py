"""What the local SES keeps: each mail as an .eml file, and the queue of its events.

A mail counts once its row is committed; its file is written before and moved into place
after, so that after a kill the files agree with the rows.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import md5, sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from campaigns.errors import SenderBusyError

_DAY: Final = timedelta(days=1)
_NO_NUMBER: Final = 2**62
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mails (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    recipient TEXT NOT NULL,
    recipients INTEGER NOT NULL DEFAULT 1,
    subject TEXT NOT NULL,
    tags TEXT NOT NULL,
    headers TEXT NOT NULL,
    file TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    visible_at TEXT NOT NULL,
    received INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS queue_visible_at ON queue (visible_at);
CREATE TABLE IF NOT EXISTS things (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS totals (
    day TEXT NOT NULL,
    configuration_set TEXT NOT NULL,
    metric TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (configuration_set, metric, day)
);
"""
_COUNTED: Final = """
CREATE INDEX IF NOT EXISTS mails_counted ON mails (at, recipients);
"""


class QueuedEvent(NamedTuple):
    """An event in the queue, as a receiver gets it."""

    receipt: str
    body: str
    body_md5: str
    received: int


class Outbox:
    """The folder of mails and the database beside them; one process at a time.

    Raises:
        SenderBusyError: Another local SES serves this folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / ".lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise SenderBusyError(f"another local SES serves {folder}") from error
        # One event loop uses it; that may run in another thread than the one here.
        self._database = sqlite3.connect(
            folder / "outbox.db", isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)
        self._count_recipients()
        self._database.execute(_COUNTED)
        self._agree_with_rows()

    def _count_recipients(self) -> None:
        """Give a folder of before they were counted its column."""
        known = self._database.execute("SELECT name FROM pragma_table_info('mails')")
        if ("recipients",) not in known.fetchall():
            self._database.execute(
                "ALTER TABLE mails ADD COLUMN recipients INTEGER NOT NULL DEFAULT 1"
            )
            self._database.execute(
                "UPDATE mails SET recipients = 1 + (length(recipient)"
                " - length(replace(recipient, ', ', ''))) / 2"
            )

    def _agree_with_rows(self) -> None:
        """Finish or undo what a kill left between a file and its row."""
        kept = {file for (file,) in self._database.execute("SELECT file FROM mails")}
        for part in self._folder.glob("*.part"):
            if part.stem in kept:
                part.rename(self._folder / part.stem)
            else:
                part.unlink()

    def next_message_id(self) -> str:
        """Return the id that the next mail will bear; the same mails, the same ids."""
        row = self._database.execute("SELECT coalesce(max(number), 0) FROM mails")
        number = row.fetchone()[0] + 1
        digest = sha256(f"local-ses/{number}".encode()).digest()
        return f"{number:016x}-{UUID(bytes=digest[:16])}-000000"

    def keep(
        self,
        message: EmailMessage,
        *,
        message_id: str,
        at: datetime,
        recipients: Sequence[str],
        tags: dict[str, str],
        events: Iterable[tuple[datetime, str]],
        counted: Iterable[tuple[date, str, str]] = (),
    ) -> None:
        """Keep a mail, queue its events and count them: all of it durably, or nothing.

        Args:
            message: The mail.
            message_id: Its id.
            at: When it was taken.
            recipients: To whom it goes.
            tags: Its tags.
            events: When each arrives, and its body.
            counted: Day, configuration set and metric of each that counts.
        """
        number = int(message_id.split("-", maxsplit=1)[0], 16)
        name = f"{at:%Y%m%d-%H%M%S}-{number:06}.eml"
        part = self._folder / f"{name}.part"
        with part.open("wb") as file:
            file.write(message.as_bytes(policy=SMTP))
            file.flush()
            os.fsync(file.fileno())
        headers = {key: str(value) for key, value in message.items()}
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.execute(
                "INSERT INTO mails (message_id, at, recipient, recipients, subject,"
                " tags, headers, file) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    message_id,
                    _text(at),
                    ", ".join(recipients),
                    len(recipients),
                    headers.get("Subject", ""),
                    orjson.dumps(tags),
                    orjson.dumps(headers),
                    name,
                ),
            )
            self._database.executemany(
                "INSERT INTO queue (visible_at, body) VALUES (?, ?)",
                [(_text(visible_at), body) for visible_at, body in events],
            )
            self._database.executemany(
                "INSERT INTO totals VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE"
                " SET value = value + 1",
                [(day.isoformat(), name, metric) for day, name, metric in counted],
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            part.unlink()
            raise
        self._database.execute("COMMIT")
        part.rename(self._folder / name)

    def sent_last_day(self, now: datetime) -> int:
        """Return to how many recipients mails went in the 24 hours before `now`."""
        row = self._database.execute(
            "SELECT coalesce(sum(recipients), 0) FROM mails WHERE at > ? AND at <= ?",
            (_text(now - _DAY), _text(now)),
        )
        return int(row.fetchone()[0])

    def totals(
        self, configuration_set: str, metric: str, *, start: date, end: date
    ) -> dict[date, int]:
        """Return how often a metric was counted on each day before `end`."""
        rows = self._database.execute(
            "SELECT day, value FROM totals WHERE configuration_set = ? AND metric = ?"
            " AND day >= ? AND day < ? ORDER BY day",
            (configuration_set, metric, start.isoformat(), end.isoformat()),
        )
        return {date.fromisoformat(day): value for day, value in rows}

    def taken(self) -> int:
        """Return how many mails were taken so far."""
        return int(self._database.execute("SELECT count(*) FROM mails").fetchone()[0])

    def receive(
        self, *, now: datetime, limit: int, hidden_for: timedelta
    ) -> list[QueuedEvent]:
        """Return visible events, and hide them until they are deleted or time is up."""
        rows = self._database.execute(
            "UPDATE queue SET visible_at = ?, received = received + 1 WHERE number IN"
            " (SELECT number FROM queue WHERE visible_at <= ? ORDER BY visible_at,"
            " number LIMIT ?) RETURNING number, body, received",
            (_text(now + hidden_for), _text(now), limit),
        ).fetchall()
        return [
            QueuedEvent(
                str(number),
                body,
                md5(body.encode(), usedforsecurity=False).hexdigest(),
                received,
            )
            for number, body, received in sorted(rows)
        ]

    def delete(self, receipts: Iterable[str]) -> None:
        """Remove events that were received and dealt with."""
        numbers = [(int(receipt),) for receipt in receipts if receipt.isdigit()]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("DELETE FROM queue WHERE number = ?", numbers)
        except BaseException:
            # An open transaction would stop every later send.
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def queued(self, *, now: datetime) -> int:
        """Return how many events are visible."""
        row = self._database.execute(
            "SELECT count(*) FROM queue WHERE visible_at <= ?", (_text(now),)
        )
        return int(row.fetchone()[0])

    def in_flight(self, *, now: datetime) -> int:
        """Return how many events are hidden, for somebody received them."""
        row = self._database.execute(
            "SELECT count(*) FROM queue WHERE visible_at > ? AND received > 0",
            (_text(now),),
        )
        return int(row.fetchone()[0])

    def next_event_at(self) -> datetime | None:
        """Return when the next event becomes visible."""
        (moment,) = self._database.execute(
            "SELECT min(visible_at) FROM queue"
        ).fetchone()
        return datetime.fromisoformat(moment) if moment else None

    def mails_after(self, number: int, *, limit: int = -1) -> list[dict[str, Any]]:
        """Return the mails with a higher number, as plain values."""
        rows = self._database.execute(
            "SELECT number, message_id, at, recipient, subject, tags, headers, file"
            " FROM mails WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [
            {
                "number": number,
                "message_id": message_id,
                "at": at,
                "recipient": recipient,
                "subject": subject,
                "tags": orjson.loads(tags),
                "headers": orjson.loads(headers),
                "file": file,
            }
            for number, message_id, at, recipient, subject, tags, headers, file in rows
        ]

    def find_mails(
        self, text: str, *, limit: int, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest mails whose recipient, subject or tags hold a text."""
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
        rows = self._database.execute(
            "SELECT number, at, recipient, subject FROM mails WHERE number < ? AND"
            " (recipient LIKE ? ESCAPE '\\' OR subject LIKE ? ESCAPE '\\'"
            " OR tags LIKE ? ESCAPE '\\') ORDER BY number DESC LIMIT ?",
            (before or _NO_NUMBER, pattern, pattern, pattern, limit),
        )
        names = ("number", "at", "recipient", "subject")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def mail(self, number: int) -> tuple[dict[str, Any], bytes] | None:
        """Return one mail and its source, or None if there is none such."""
        found = self.mails_after(number - 1, limit=1)
        if not found or found[0]["number"] != number:
            return None
        return found[0], (self._folder / found[0]["file"]).read_bytes()

    def put(self, kind: str, name: str, value: dict[str, Any]) -> None:
        """Keep a named thing of a kind: an identity, a template, a suppression."""
        self._database.execute(
            "INSERT OR REPLACE INTO things VALUES (?, ?, ?)",
            (kind, name, orjson.dumps(value)),
        )

    def drop(self, kind: str, name: str) -> bool:
        """Forget a named thing; say whether it was there."""
        done = self._database.execute(
            "DELETE FROM things WHERE kind = ? AND name = ?", (kind, name)
        )
        return done.rowcount > 0

    def things(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the things of a kind by name, in order."""
        rows = self._database.execute(
            "SELECT name, value FROM things WHERE kind = ? ORDER BY name", (kind,)
        )
        return {name: orjson.loads(value) for name, value in rows}

    def thing(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a named thing of a kind, or None."""
        row = self._database.execute(
            "SELECT value FROM things WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return orjson.loads(row[0]) if row else None

    def close(self) -> None:
        """Close the database and let another process serve the folder."""
        self._database.close()
        self._lock.close()


def _text(moment: datetime) -> str:
    # Fixed width and always UTC, so that text order is time order.
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
