"""The rejects file: every row that was not taken, with its place and the reason."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from campaigns.domain.values import Rejection

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(text: str) -> str:
    """Return `text` such that a spreadsheet shows it instead of running it."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


class RejectsFile:
    """A CSV file that comes into being with the first rejection."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
    def exists(self) -> bool:
        """Whether anything was rejected."""
        return self._file is not None

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
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["file", "row", "column", "value", "reason"])
