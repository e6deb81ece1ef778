"""One running import: its file, its mapper, its rejects and its counts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from campaigns.clock import Clock
from campaigns.domain.records import EARLIEST, HAPPENED_AT, Record
from campaigns.domain.values import ImportCounts, Rejection
from campaigns.sources.blocks import START, Block, NumberedRow, Place, RowError
from campaigns.sources.files import DataFile, fingerprint
from campaigns.sources.mapping import MappingFile
from campaigns.sources.rejects import RejectsFile
from campaigns.sources.rows import Lookups, RowMapper
from campaigns.store import records
from campaigns.store.session import Sessions
from campaigns.store.usage import UsageLake

_SHOWN: Final = 5
_CLOCKS_DIFFER_BY: Final = timedelta(days=1)
_THROUGH: Final = ("subscriptions", "contacts")


class Advance(NamedTuple):
    """How far an import is: in which phase, how much of it (0 to 1), rows so far."""

    phase: str
    share: float
    rows: int


Progress = Callable[[Advance], None]


class Workplace(NamedTuple):
    """Where imports read from and write to."""

    sessions: Sessions
    lake: UsageLake
    rejects_folder: Path
    address_hash: Callable[[str], str]
    clock: Clock


@dataclass(slots=True)
class ImportResult:
    """What became of a file's rows, with the first rejections to show."""

    counts: ImportCounts = field(default_factory=ImportCounts)
    rejects_file: Path | None = None
    first_rejections: list[Rejection] = field(default_factory=list)
    unused_columns: list[str] = field(default_factory=list)

    def add(self, **more: int) -> None:
        """Count `more` rows as taken, unchanged or rejected."""
        changed = {name: getattr(self.counts, name) + n for name, n in more.items()}
        self.counts = replace(self.counts, **changed)


class Import:
    """One running import.

    Args:
        kind: Of which record.
        path: The file.
        place: Where imports read from and write to.
        mapping: The mapping file, if there is one.
        data: The opened file.
        progress: Is told how far it is.
    """

    def __init__(
        self,
        kind: str,
        path: Path,
        *,
        place: Workplace,
        mapping: MappingFile | None,
        data: DataFile,
        progress: Progress,
    ) -> None:
        self.kind = kind
        self.path = path
        self.place = place
        self.mapping = mapping
        self.result = ImportResult()
        self.not_after = place.clock() + _CLOCKS_DIFFER_BY
        self.file_hash = fingerprint(path)
        with place.sessions.begin() as session:
            self.accounts = records.account_ids(session)
            self.lookups: Lookups = {
                name: records.accounts_through(session, name)
                for name in _THROUGH
                if mapping and mapping.reads_through(name)
            }
        self.mapper = RowMapper(
            kind,
            data.columns,
            mapping,
            file=path.name,
            is_ragged=data.is_ragged,
            lookups=self.lookups,
        )
        self.result.unused_columns = self.mapper.unused(data.columns)
        self._data = data
        self._size = max(1, path.stat().st_size)
        self._progress = progress
        self._rejects: RejectsFile | None = None

    def key(self) -> str:
        """Return what a resumed import must agree in: how the file is read."""
        digest = sha256(repr(self.mapping).encode())
        for account in sorted(self.accounts):
            digest.update(account.encode() + b"\n")
        for known in self.lookups.values():
            digest.update(repr(sorted(known.items())).encode())
        return digest.hexdigest()[:16]

    def advance(self, phase: str, share: float, rows: int) -> None:
        """Tell how far the import is."""
        self._progress(Advance(phase, share, rows))

    def blocks(self, start: Place = START) -> Iterator[Block]:
        """Yield the file's blocks behind a place."""
        for block in self._data.blocks(start):
            yield block
            share = self._data.position() / self._size
            self.advance("reading", share, block.end.row)

    def open_rejects(self, rejects: RejectsFile, *, rejected: int = 0) -> None:
        """Say where rejected rows are listed, and how many an earlier try listed."""
        self._rejects = rejects
        if rejected:
            self.result.rejects_file = rejects.path
            self.result.add(rejected=rejected)

    def reject(self, number: int, error: RowError) -> None:
        """List a row as rejected, with its reason."""
        rejection = Rejection(
            self.path.name, number, error.column, error.value[:500], error.reason
        )
        if self._rejects is not None:
            self._rejects.add(rejection)
            self.result.rejects_file = self._rejects.path
        self.result.add(rejected=1)
        if len(self.result.first_rejections) < _SHOWN:
            self.result.first_rejections.append(rejection)

    def good_rows(self, rows: Iterable[NumberedRow]) -> Iterator[tuple[int, Any]]:
        """Yield number and record of each good row; the others are rejected here."""
        for number, row in rows:
            try:
                if isinstance(row, RowError):
                    raise row
                record = self.mapper.record(row)
                self._check(record)
            except RowError as error:
                self.reject(number, error)
            else:
                yield number, record

    def _check(self, record: Record) -> None:
        account = getattr(record, "account", None)
        if account is not None and account not in self.accounts:
            raise RowError("account", account, "is unknown: import accounts first")
        name = HAPPENED_AT.get(self.kind)
        if name is not None:
            self._check_time(name, getattr(record, name))

    def _check_time(self, name: str, moment: datetime) -> None:
        if moment > self.not_after:
            reason = "lies in the future; is the zone right, or the unit?"
            raise RowError(name, moment.isoformat(), reason)
        if moment < EARLIEST:
            reason = f"is before {EARLIEST.year}; is it empty, or of another unit?"
            raise RowError(name, moment.isoformat(), reason)
