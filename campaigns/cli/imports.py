"""`winback import`: progress while it runs, and what became of every row."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from campaigns.domain.records import RECORDS
from campaigns.errors import InputError
from campaigns.shipped import templates_folder
from campaigns.sources.folders import Found, files_in
from campaigns.steps.import_file import Advance, ImportResult
from campaigns.steps.ingest import ingest
from campaigns.wiring.workspace import Workspace

ALL: Final = "all"


def import_files(
    workspace: Workspace, kind: str, files: Sequence[Path], mapping: Path | None
) -> int:
    """Import `files` one after the other; return how many rows were rejected.

    Args:
        workspace: Where to.
        kind: Of which records, or `all`: then each of `files` is a folder.
        files: Files, or folders.
        mapping: A mapping file, a folder of them, or the name of a shipped one.

    Raises:
        InputError: The kind is not known, or a file cannot be taken.
    """
    if kind == ALL:
        return sum(_import_folder(workspace, folder, mapping) for folder in files)
    if kind not in RECORDS:
        raise InputError(
            f"there are no records called {kind!r}; there are: {', '.join(RECORDS)}, "
            f"and {ALL} for a folder of files"
        )
    if mapping is not None and not mapping.is_file():
        mapping = mappings_folder(mapping) / f"{kind}.toml"
    found = [Found(kind, path, mapping) for path in files]
    return _import_found(workspace, found)


def mappings_folder(named: Path) -> Path:
    """Return a folder of mapping files: one of the user's, or a shipped one by name.

    Raises:
        InputError: There is none such.
    """
    shipped = templates_folder() / "mappings"
    if named.is_dir():
        return named
    if (shipped / named).is_dir():
        return shipped / named
    names = ", ".join(sorted(each.name for each in shipped.iterdir()))
    raise InputError(
        f"{named}: there is no such mapping file or folder; shipped ones: {names}"
    )


def _import_folder(workspace: Workspace, folder: Path, mapping: Path | None) -> int:
    mappings = mappings_folder(mapping) if mapping is not None else folder
    found, unknown = files_in(folder, mappings)
    if not found:
        raise InputError(
            f"{folder}: no file in it is named after a kind of record, such as "
            "accounts.csv or usage-2026-01.parquet"
        )
    rejected = _import_found(workspace, found)
    for path in unknown:
        print(f"{path.name}: not taken, its name says no kind of record")
    return rejected


def _import_found(workspace: Workspace, found: Sequence[Found]) -> int:
    """Import files; one that is damaged stops none of the others."""
    rejected = 0
    damaged: list[InputError] = []
    for kind, path, mapping in found:
        try:
            result = import_file(workspace, kind, path, mapping)
        except InputError as error:
            damaged.append(error)
            continue
        print_result(kind, path, result)
        rejected += result.counts.rejected
    # Whoever came back must not be written to from now on.
    workspace.settle(workspace.clock())
    if damaged:
        for each in damaged[:-1]:
            print(f"winback: {each}", file=sys.stderr)
        raise damaged[-1]
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
    if result.rejects_file is None:
        return
    table = Table("row", "column", "value", "reason", box=None, padding=(0, 2))
    for each in result.first_rejections:
        # Values are not ours: brackets in them are no markup.
        cells = (each.column, each.value[:40], each.reason)
        table.add_row(str(each.row), *map(escape, cells))
    Console().print(table)
    print(f"  all of them, with reasons: {result.rejects_file}")
