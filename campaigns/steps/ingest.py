"""Import one file: every row ends taken, unchanged or rejected with its reason."""

from contextlib import ExitStack, suppress
from pathlib import Path

import structlog

from campaigns.errors import InputError, WinbackError
from campaigns.sources.files import open_data_file
from campaigns.sources.mapping import read_mapping
from campaigns.steps import take_records, take_usage
from campaigns.steps.import_file import Import, ImportResult, Progress, Workplace
from campaigns.store import imports
from campaigns.store.session import OperationalError, database_trouble, is_damage

logger = structlog.get_logger(__name__)


def ingest(
    kind: str,
    path: Path,
    *,
    place: Workplace,
    mapping_path: Path | None = None,
    progress: Progress = lambda _advance: None,
) -> ImportResult:
    """Import the file at `path` as records of `kind`.

    Importing a file again, or after a kill, ends as one import would have: rows that
    are there already are counted as unchanged.

    Raises:
        InputError: The file as a whole cannot be taken or, as its text then says, only
            up to a damage.
    """
    mapping = read_mapping(mapping_path, kind=kind)
    encoding = mapping.encoding if mapping else None
    with ExitStack() as stack:
        data = stack.enter_context(open_data_file(path, encoding=encoding))
        work = Import(
            kind, path, place=place, mapping=mapping, data=data, progress=progress
        )
        with place.sessions.begin() as session:
            run = imports.begin(
                session,
                kind=kind,
                file=path.name,
                sha256=work.file_hash,
                now=place.clock(),
            )
        name = f"{kind}-{path.name}-{run}.csv"
        take = take_usage.take if kind == "usage" else take_records.take
        try:
            damage = take(work, rejects_file=place.rejects_folder / name)
        except WinbackError:
            raise
        except Exception as error:  # an import ends here; the file did it
            damage = _not_kept(path, error)
            if damage is None:
                logger.exception("import_failed", kind=kind, run=run)
                damage = InputError(
                    f"{path}: could not be read to its end ({type(error).__name__}); "
                    "the log says more"
                )
    _finish(work, run, damage)
    if damage is not None:
        raise damage
    return work.result


def _not_kept(path: Path, error: Exception) -> InputError | None:
    """Return what to say where a disk or database refused; None of other errors."""
    trouble = database_trouble(error)
    if is_damage(error) or (trouble is None and not isinstance(error, OSError)):
        return None
    return InputError(
        f"{path}: what was read could not be kept ({trouble or error}); make room and "
        "import it again: it goes on where it was"
    )


def _finish(work: Import, run: int, damage: InputError | None) -> None:
    counts = work.result.counts
    if damage is None:
        with work.place.sessions.begin() as session:
            imports.finish(session, run, counts, now=work.place.clock())
    else:
        # Where not even that can be written, the run stays one that was broken off.
        with suppress(OperationalError), work.place.sessions.begin() as session:
            imports.fail(session, run, counts, error=str(damage))
    logger.info(
        "imported" if damage is None else "import_damaged",
        kind=work.kind,
        run=run,
        taken=counts.taken,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
    )
