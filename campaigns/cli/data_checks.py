"""`winback doctor data`: what is odd about the imported data, on one screen."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from campaigns.store import oddities
from campaigns.wiring.workspace import Workspace


def print_oddities(workspace: Workspace) -> None:
    """Print what became of each file's rows, and every oddity with its meaning."""
    with workspace.sessions.begin() as session:
        files = oddities.files(session)
        found = oddities.find(session, workspace.lake, now=workspace.clock())
    console = Console()
    if not files:
        console.print("Nothing was imported yet: winback import all FOLDER")
        return
    console.print(_files(files))
    if not found:
        console.print("\nNothing odd was found.")
        return
    console.print()
    console.print(_oddities(found))


def _files(files: list[oddities.FileOfRecords]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    for name in ("kind", "file"):
        table.add_column(name)
    for name in ("rows", "taken", "unchanged", "rejected"):
        table.add_column(name, justify="right")
    for each in files:
        rows = each.taken + each.unchanged + each.rejected
        counts = (rows, each.taken, each.unchanged, each.rejected)
        table.add_row(each.kind, escape(each.file), *(f"{n:,}" for n in counts))
        if each.error:
            table.add_row("", f"[red]{escape(each.error)}[/]")
    return table


def _oddities(found: list[oddities.Oddity]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    for each in found:
        share = f"{each.odd / each.of:.0%} of {each.of:,} {each.records}"
        what = f"[bold]{each.name}[/]: {share}"
        table.add_row(f"{each.odd:,}", what)
        examples = escape(", ".join(each.examples))
        table.add_row("", f"[dim]{each.meaning} (such as {examples})[/]")
    return table
