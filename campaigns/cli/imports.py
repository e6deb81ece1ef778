"""`winback import`: progress while it runs, and what became of every row."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from campaigns.domain.records import RECORDS
from campaigns.errors import InputError
from campaigns.steps.import_file import Advance, ImportResult
from campaigns.steps.ingest import ingest
from campaigns.wiring.workspace import Workspace


def import_files(
    workspace: Workspace, kind: str, files: Sequence[Path], mapping: Path | None
) -> int:
    """Import `files` one after the other; return how many rows were rejected.

    Raises:
        InputError: The kind is not known, or a file cannot be taken.
    """
    if kind not in RECORDS:
        raise InputError(
            f"there are no records called {kind!r}; there are: {', '.join(RECORDS)}"
        )
    rejected = 0
    for path in files:
        result = import_file(workspace, kind, path, mapping)
        print_result(kind, path, result)
        # Whoever came back must not be written to from now on.
        workspace.settle(workspace.clock())
        rejected += result.counts.rejected
    return rejected


def import_file(
    workspace: Workspace, kind: str, path: Path, mapping: Path | None
) -> ImportResult:
    """Import one file with a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(path.name, total=1.0, rows=0)

        def show(now: Advance) -> None:
            description = f"{now.phase} {path.name}"
            bar.update(
                task, description=description, completed=now.share, rows=now.rows
            )

        return ingest(
            kind,
            path,
            place=workspace.import_place(),
            mapping_path=mapping,
            progress=show,
        )


def print_result(kind: str, path: Path, result: ImportResult) -> None:
    """Print what became of a file's rows."""
    counts = result.counts
    print(
        f"{path.name}: {counts.rows:,} rows of {kind}: {counts.taken:,} taken, "
        f"{counts.unchanged:,} unchanged, {counts.rejected:,} rejected"
    )
    if result.unused_columns:
        print(f"  columns left out: {', '.join(result.unused_columns)}")
    if not result.first_rejections:
        return
    table = Table("row", "column", "value", "reason", box=None, padding=(0, 2))
    for each in result.first_rejections:
        # Values are not ours: brackets in them are no markup.
        cells = (each.column, each.value[:40], each.reason)
        table.add_row(str(each.row), *map(escape, cells))
    Console().print(table)
    print(f"  all of them, with reasons: {result.rejects_file}")
