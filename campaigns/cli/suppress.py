"""`winback suppress …`: addresses that may not be written to."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from campaigns.cli.options import WorkspaceOption

app = typer.Typer(
    no_args_is_help=True,
    help="Addresses that may not be written to: add, list, export, import, sync.",
)


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="- reads addresses, one a line")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Suppress an address for good; it holds for the next mail at once."""
    import sys

    from campaigns.domain.records import email_address
    from campaigns.domain.words import SuppressionReason
    from campaigns.errors import InputError
    from campaigns.store import suppressions
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    hash_of = opened.address_hash()
    reason, now = SuppressionReason.MANUAL, opened.clock()
    new = {}
    lines = sys.stdin if address == "-" else [address]
    for number, line in enumerate(lines, start=1):
        try:
            new[hash_of(email_address(line.strip()))] = (reason, now)
        except ValueError as error:
            # Not the value itself: it may be nearly an address.
            raise InputError(
                f"line {number} is not an e-mail address; nothing was added"
            ) from error
    with opened.sessions.begin() as session:
        added = suppressions.add(session, new)
    print(f"{added} added, {len(new) - added} known before")


@app.command("list")
def list_(workspace: WorkspaceOption = Path()) -> None:
    """Count the suppressed addresses by reason; the addresses are not kept."""
    from campaigns.store import suppressions
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    with opened.sessions.begin() as session:
        counts = suppressions.counts(session)
        at_rest = suppressions.count_snoozed(session, now=opened.clock())
    for reason, count in sorted(counts.items()):
        print(f"{reason.replace('_', ' ')}: {count:,}")
    print(f"{sum(counts.values()):,} addresses may not be written to")
    if at_rest:
        print(f"{at_rest:,} asked for a rest")


@app.command()
def export(file: Path, workspace: WorkspaceOption = Path()) -> None:
    """Write keyed hash, reason and time of each into a CSV, for another workspace.

    It must have the same address key.
    """
    from campaigns.store import suppressions
    from campaigns.wiring.workspace import open_workspace

    with open_workspace(workspace).sessions.begin() as session:
        rows = suppressions.everyone(session)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["hash", "reason", "at"])
        writer.writerows([*row[:2], row[2].isoformat()] for row in rows)
    print(f"{len(rows):,} written to {file}")


@app.command("import")
def import_(file: Path, workspace: WorkspaceOption = Path()) -> None:
    """Take a file of addresses or keyed hashes: `winback import suppressions`."""
    from campaigns.cli.imports import import_files
    from campaigns.wiring.workspace import open_workspace

    if import_files(open_workspace(workspace), "suppressions", [file], None):
        raise typer.Exit(2)


@app.command("sync")
def sync_(workspace: WorkspaceOption = Path()) -> None:
    """Take all of SES's own suppression list; a running Winback does it every night."""
    from campaigns.steps import sync
    from campaigns.wiring.sending import make_clients, ses_endpoint, ses_list
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    with ses_endpoint(opened) as endpoint:
        ses, _ = make_clients(opened, endpoint)
        result = sync.sync(ses_list(opened, ses), in_full=True)
    print(
        f"{result.read:,} addresses on SES's list: {result.added:,} added, "
        f"{result.contacts:,} of them contacts of ours"
    )
    if result.not_understood:
        print(f"{result.not_understood:,} are no e-mail addresses; left out")
