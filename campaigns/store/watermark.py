"""The watermark: a file outside the database that knows how far it had come.

A database that was restored, or copied elsewhere, lies below it: what was mailed since
the copy is not known there, and would be mailed again.
"""

from pathlib import Path
from typing import NamedTuple

import orjson

from campaigns.errors import ConfigError


class Mark(NamedTuple):
    """How far a database had come.

    Attributes:
        instance: Whose mark it is.
        attempt: The number of its latest attempt.
    """

    instance: str
    attempt: int


class Watermark:
    """The mark in a file; written before a mail goes out, so it is never too low.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mark | None:
        """Return the mark; None where there is none.

        Raises:
            ConfigError: The file holds something else.
        """
        try:
            found = orjson.loads(self._path.read_bytes())
            return Mark(str(found["instance"]), int(found["attempt"]))
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self._path}: does not say how far the database had come; if you are "
                "sure that this database is no copy, delete the file"
            ) from error

    def write(self, mark: Mark) -> None:
        """Set the mark: all of it or nothing."""
        part = self._path.with_suffix(".part")
        part.write_bytes(orjson.dumps(mark._asdict()))
        # Not forced to disk: what a power cut takes of it makes the mark too low, and
        # then a copy is not known for one. Each mail would wait for the disk otherwise.
        part.replace(self._path)
