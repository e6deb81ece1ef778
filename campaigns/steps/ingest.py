"""Import one file: every row ends taken, unchanged or rejected with its reason."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from campaigns.clock import Clock
from campaigns.domain.records import Record, Usage
from campaigns.domain.values import ImportCounts, Rejection
from campaigns.sources.files import DataFile, fingerprint, open_data_file
from campaigns.sources.mapping import RowError, RowMapper, read_mapping
from campaigns.sources.rejects import RejectsFile
from campaigns.store import imports, records, usage
from campaigns.store.session import Sessions
from campaigns.store.usage import Staging, UsageLake

logger = structlog.get_logger(__name__)

_BATCH: Final = 5_000
_SHOWN: Final = 5

Progress = Callable[[int, int], None]
"""Is told bytes read so far, and rows."""


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


class _Import:
    """One running import: its file, its mapper, its rejects and its counts."""

    def __init__(
        self, kind: str, path: Path, place: Workplace, rejects: RejectsFile
    ) -> None:
        self.kind = kind
        self.path = path
        self.place = place
        self.rejects = rejects
        self.result = ImportResult()
        with place.sessions.begin() as session:
            self.accounts = records.account_ids(session)

    def reject(self, number: int, error: RowError) -> None:
        rejection = Rejection(
            self.path.name, number, error.column, error.value[:500], error.reason
        )
        self.rejects.add(rejection)
        self.result.add(rejected=1)
        if len(self.result.first_rejections) < _SHOWN:
            self.result.first_rejections.append(rejection)

    def good_rows(
        self, data: DataFile, mapper: RowMapper, progress: Progress
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and record of each good row; the others are rejected here."""
        for number, row in data.rows:
            if number % _BATCH == 0:
                progress(data.position(), number)
            try:
                if isinstance(row, RowError):
                    raise row
                record = mapper.record(row)
                self._check_account(record)
            except RowError as error:
                self.reject(number, error)
            else:
                yield number, record

    def _check_account(self, record: Record) -> None:
        account = getattr(record, "account", None)
        if account is not None and account not in self.accounts:
            raise RowError("account", account, "is unknown: import accounts first")


def ingest(
    kind: str,
    path: Path,
    *,
    place: Workplace,
    mapping_path: Path | None = None,
    progress: Progress = lambda _bytes, _rows: None,
) -> ImportResult:
    """Import the file at `path` as records of `kind`.

    Importing a file again, or after a kill, ends as one import would have: rows that
    are there already are counted as unchanged.

    Raises:
        InputError: The file as a whole cannot be taken; rows of it may have been.
    """
    mapping = read_mapping(mapping_path, kind=kind)
    with ExitStack() as stack:
        data = stack.enter_context(open_data_file(path))
        mapper = RowMapper(
            kind, data.columns, mapping, file=path.name, is_ragged=data.is_ragged
        )
        sha256 = fingerprint(path)
        with place.sessions.begin() as session:
            run = imports.begin(
                session, kind=kind, file=path.name, sha256=sha256, now=place.clock()
            )
        rejects = stack.enter_context(
            RejectsFile(place.rejects_folder / f"{kind}-{path.name}-{run}.csv")
        )
        work = _Import(kind, path, place, rejects)
        rows = work.good_rows(data, mapper, progress)
        if kind == "usage":
            _take_usage(work, rows, staging=f"{kind}-{sha256[:16]}")
        else:
            _take_records(work, rows, is_distinct=mapper.is_distinct)
        result = work.result
        result.rejects_file = rejects.path if rejects.exists else None
        result.unused_columns = mapper.unused(data.columns)
    with place.sessions.begin() as session:
        imports.finish(session, run, result.counts, now=place.clock())
    logger.info(
        "imported",
        kind=kind,
        run=run,
        taken=result.counts.taken,
        unchanged=result.counts.unchanged,
        rejected=result.counts.rejected,
    )
    return result


def _take_records(
    work: _Import, rows: Iterator[tuple[int, Record]], *, is_distinct: bool
) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    while batch := list(islice(rows, _BATCH)):
        first = _first_of_each(work, batch, seen, is_distinct=is_distinct)
        with work.place.sessions.begin() as session:
            stored = records.stored_hashes(session, work.kind, first)
            changed = [
                record
                for record in first
                if stored.get(records.key_of(work.kind, record))
                != records.content_hash(record)
            ]
            records.put(
                session,
                work.kind,
                changed,
                address_hash=work.place.address_hash,
            )
        work.result.add(taken=len(changed), unchanged=len(first) - len(changed))


def _first_of_each(
    work: _Import,
    batch: Sequence[tuple[int, Record]],
    seen: dict[tuple[Any, ...], str],
    *,
    is_distinct: bool,
) -> list[Record]:
    """Return the records whose key was not seen in this file; settle the others."""
    first: list[Record] = []
    for number, record in batch:
        key, content = records.key_of(work.kind, record), records.content_hash(record)
        earlier = seen.setdefault(key, content)
        if earlier is content:
            first.append(record)
        elif earlier == content or is_distinct:
            work.result.add(unchanged=1)
        else:
            name = records.KEYS[work.kind][0]
            work.reject(
                number,
                RowError(name, key[0], "stands earlier in this file with other values"),
            )
    return first


def _take_usage(
    work: _Import, rows: Iterator[tuple[int, Usage]], *, staging: str
) -> None:
    with work.place.lake.writing():
        _stage_and_merge(work, rows, staging)


def _stage_and_merge(
    work: _Import, rows: Iterator[tuple[int, Usage]], staging: str
) -> None:
    staged = Staging(work.place.lake.root / ".staging" / staging)
    while batch := list(islice(rows, _BATCH * 10)):
        staged.add(batch)
    events = staged.read()
    clashes = usage.find_clashes(events)
    for clash in clashes:
        reason = "stands earlier in this file with other values"
        work.reject(clash.row, RowError("id", clash.id, reason))
    counts = usage.merge(work.place.lake, usage.without(events, clashes))
    work.result.add(taken=counts.taken, unchanged=counts.unchanged)
    staged.remove()
