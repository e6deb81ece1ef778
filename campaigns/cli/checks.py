"""`winback doctor`: what is configured, reachable, stale or wrong, with remedies."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from campaigns.cli.findings import Check
from campaigns.cli.sending_checks import sending_checks
from campaigns.errors import WinbackError
from campaigns.steps.freshness import told_until
from campaigns.store import (
    campaigns,
    doubts,
    imports,
    instance,
    model_versions,
    runs,
    schema,
    session,
)
from campaigns.wiring.workspace import Workspace, open_workspace

_STALE_AFTER: Final = timedelta(days=8)


def print_checks(root: Path) -> bool:
    """Print every finding; say whether nothing is wrong."""
    found = list(all_checks(root))
    table = Table("", "about", "finding", "what to do", box=None, padding=(0, 2))
    colour = {"ok": "green", "note": "yellow", "wrong": "red"}
    for each in found:
        status = f"[{colour[each.status]}]{each.status}[/]"
        table.add_row(status, each.what, escape(each.finding), escape(each.remedy))
    Console().print(table)
    return all(each.status != "wrong" for each in found)


def all_checks(root: Path) -> Iterator[Check]:
    """Yield the findings about the workspace at `root`."""
    try:
        workspace = open_workspace(root)
    except WinbackError as error:
        yield Check("wrong", "settings", str(error), "mend it and run doctor again")
        return
    yield Check("ok", "settings", "winback.toml and secrets.toml are understood")
    for check in _CHECKS:
        yield from check(workspace)


def _database(workspace: Workspace) -> Iterator[Check]:
    if not session.is_sound(workspace.engine):
        remedy = "put back a backup: see docs/how-to/restore.md"
        yield Check("wrong", "database", "is damaged", remedy)
    elif not schema.is_current(workspace.engine):
        yield Check("wrong", "database", "is not at this version", "run any command")
    else:
        kind = workspace.engine.dialect.name
        yield Check("ok", "database", f"{kind}, sound and at this version")
    with workspace.sessions.begin() as opened:
        waits_because = instance.waits_because(opened)
    if waits_because is not None:
        remedy = "see docs/how-to/restore.md, then: winback accept-copy"
        yield Check("wrong", "database", waits_because, remedy)


def _data(workspace: Workspace) -> Iterator[Check]:
    with workspace.sessions.begin() as opened:
        known_until = told_until(
            opened,
            workspace.lake,
            workspace.settings.win_back.definition(),
            before=workspace.clock(),
        )
        unfinished = imports.unfinished(opened)
    if known_until is None:
        remedy = "winback import usage FILE"
        yield Check("note", "data", "no usage or subscriptions were imported", remedy)
    elif workspace.clock() - known_until > _STALE_AFTER:
        days = (workspace.clock() - known_until).days
        remedy = "import newer files: returns cannot be seen without them"
        finding = f"what was imported tells of nothing in the last {days} days"
        yield Check("note", "data", finding, remedy)
    else:
        yield Check("ok", "data", f"known up to {known_until:%Y-%m-%d}")
    for file, error in unfinished:
        remedy = "import it again: what was taken is unchanged then"
        finding = f"the import of {file} did not end"
        yield Check(
            "wrong", "data", f"{finding}: {error}" if error else finding, remedy
        )


def _model(workspace: Workspace) -> Iterator[Check]:
    with workspace.sessions.begin() as opened:
        model = model_versions.active(opened, "segments")
    if model is None:
        remedy = "winback train segments"
        yield Check("note", "model", "no segments were learnt yet", remedy)
        return
    yield Check("ok", "model", f"segments {model.version}, {model.trained_at:%Y-%m-%d}")


def _templates(workspace: Workspace) -> Iterator[Check]:
    templates = workspace.templates()
    broken = 0
    for name in templates.names():
        try:
            templates.compiled(name)
        except WinbackError as error:
            broken += 1
            yield Check("wrong", "templates", str(error), "mend the template")
    if not broken:
        yield Check("ok", "templates", f"{len(templates.names())} e-mails compile")


def _running(workspace: Workspace) -> Iterator[Check]:
    with workspace.sessions.begin() as opened:
        names = campaigns.names(opened)
        doubtful = doubts.in_doubt(opened)
        failed = runs.failed(opened)
    yield Check("ok", "campaigns", f"{len(names)} applied")
    if doubtful:
        remedy = "winback held list"
        yield Check("note", "messages", f"{len(doubtful)} in doubt", remedy)
    for run in failed:
        again = run.retry_at and f"; it is tried again at {run.retry_at:%Y-%m-%d %H:%M}"
        finding = f"failed on {run.due_at:%Y-%m-%d}: {run.error}"
        yield Check("wrong", run.job, finding, f"mend the cause{again or ''}")


_CHECKS: Final[tuple[Callable[[Workspace], Iterator[Check]], ...]] = (
    _database,
    _data,
    _model,
    _templates,
    sending_checks,
    _running,
)
