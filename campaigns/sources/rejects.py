"""The rejects file: every row that was not taken, with its place and the reason."""

import csv
import os
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from campaigns.domain.values import Rejection

_FORMULA_STARTS: Final = frozenset("=+-@|\t\r\n\0＝＋－＠")  # noqa: RUF001
_SKIPPED_STARTS: Final = "\ufeff\"'"


def escape_formula(text: str) -> str:
    """Return `text` such that a spreadsheet shows it instead of running it.

    What a spreadsheet may skip at the beginning (a byte order mark, quotes, invisible
    characters) is looked behind. Source: OWASP ASVS 5.0, V1.2.10.
    """
    rest = text.lstrip(_SKIPPED_STARTS)
    while rest and unicodedata.category(rest[0]) == "Cf":
        rest = rest[1:]
    return f"'{text}" if rest[:1] in _FORMULA_STARTS and rest else text


class RejectsFile:
    """A CSV file that comes into being with the first rejection.

    Args:
        path: Where.
        keep_bytes: How much of an earlier try's file is kept; the rest is cut off.
    """

    def __init__(self, path: Path, *, keep_bytes: int = 0) -> None:
        self.path = path
        self._keep_bytes = keep_bytes
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def written_bytes(self) -> int:
        """How long the file is, once what was rejected so far is in it."""
        if self._file is None:
            return self._keep_bytes
        self._file.flush()
        return int(os.fstat(self._file.fileno()).st_size)

    def add(self, rejection: Rejection) -> None:
        """Write one rejection."""
        if self._file is None:
            self._open()
        self._writer.writerow(
            [
                rejection.file,
                rejection.row,
                rejection.column,
                escape_formula(rejection.value),
                rejection.reason,
            ]
        )

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Rejected rows hold personal values too: only their owner may read them.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(descriptor, self._keep_bytes)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        if not self._keep_bytes:
            self._writer.writerow(["file", "row", "column", "value", "reason"])
