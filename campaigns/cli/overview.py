"""`winback status`: what ran, what is due next, and what is stuck."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from campaigns.domain.words import CampaignState
from campaigns.schedule import TIMETABLE
from campaigns.store import (
    allowance,
    campaigns,
    cohorts,
    doubts,
    events,
    imports,
    instance,
    messages,
    runs,
    snapshots,
)
from campaigns.store.runs import Run
from campaigns.store.session import Session
from campaigns.store.workers import is_sending
from campaigns.wiring.workspace import Workspace

_SHOWN: Final = 20
_DRIFT_SHOWN: Final = 3
_LATE_AFTER: Final = timedelta(hours=1)
_QUIET_AFTER: Final = timedelta(minutes=15)


def print_overview(workspace: Workspace, *, job: str | None) -> bool:
    """Print the state of this machine; say whether nothing is stuck.

    Args:
        workspace: Whose.
        job: Whose history is shown; None for the latest run of each job.
    """
    now = workspace.clock()
    console = Console()
    with workspace.sessions.begin() as session:
        name, simulated = instance.name(session), instance.simulated_until(session)
        history = runs.history(session, limit=_SHOWN, job=job)
        if job is None:
            history = runs.latest(session)[:_SHOWN]
        due = sorted(_due(session, now))
        is_running = is_sending(workspace.engine)
        stuck = list(_stuck(session, now, is_running=is_running))
        drift = _drift(session)
    whose = "simulated time" if simulated else "our time"
    running = "runs" if is_running else "does not run (winback run)"
    console.print(f"Instance {name}, {now:%Y-%m-%d %H:%M} UTC ({whose}); it {running}")
    console.print(_history(history) if history else "Nothing ran yet.")
    table = Table("due next", "what", box=None, padding=(0, 2, 0, 0))
    for moment, what in due:
        table.add_row(f"{moment:%Y-%m-%d %H:%M}", escape(what))
    console.print(table)
    if drift is not None:
        console.print(drift)
    console.print("[bold]Stuck[/]" if stuck else "Nothing is stuck.")
    for each in stuck:
        console.print(f"  [red]•[/] {escape(each)}")
    return not stuck


def _history(history: list[Run]) -> Table:
    table = Table("ran", "what", "took", "result", box=None, padding=(0, 2, 0, 0))
    for run in history:
        table.add_row(
            f"{run.started_at:%Y-%m-%d %H:%M}",
            escape(run.job),
            _duration(run),
            escape(_result(run)),
        )
    return table


def _duration(run: Run) -> str:
    if run.finished_at is None:
        return "…"
    return f"{(run.finished_at - run.started_at).total_seconds():.0f} s"


def _result(run: Run) -> str:
    if run.finished_at is None:
        return "it runs, or was killed"
    if run.error is not None:
        return f"failed ({run.attempts}×): {run.error}"
    told = (
        f"{name} {value}"
        for name, value in (run.result or {}).items()
        if value and not isinstance(value, dict | list)
    )
    return ", ".join(told) or "done"


def _due(session: Session, now: datetime) -> Iterator[tuple[datetime, str]]:
    for job, recurrence in TIMETABLE.items():
        yield recurrence.next(now), job
    if cohort_at := cohorts.next_cohort_at(session):
        yield cohort_at, "the next cohort is enrolled"
    if message_at := messages.next_due_at(session):
        yield message_at, "the next mail"
    for run in runs.failed(session):
        if run.retry_at is not None:
            yield run.retry_at, f"{run.job}, again"


def _stuck(session: Session, now: datetime, *, is_running: bool) -> Iterator[str]:
    if because := instance.waits_because(session):
        yield f"nothing is sent: {because}; see docs/how-to/restore.md"
    yield from _stuck_runs(session, now, is_running=is_running)
    yield from _overdue(session, now)
    emptied = instance.pulse(session).queue_empty_at
    if is_running and emptied is not None and now - emptied > _QUIET_AFTER:
        yield f"the event queue was last emptied at {emptied:%Y-%m-%d %H:%M}"
    if count := events.count_not_taken(session):
        yield f"{count} events could not be taken or understood; they are kept as is"
    known = allowance.read(session)
    if known.halted_until is not None and known.halted_until > now:
        until = f"{known.halted_until:%Y-%m-%d %H:%M}"
        yield f"nothing is sent before {until}: {known.halted_because}"
    for name in campaigns.names(session):
        if campaigns.state_of(session, name) is CampaignState.PAUSED:
            yield f"campaign {name} is paused"


def _drift(session: Session) -> str | None:
    """Return what has moved since the training: to be known, and nothing is stuck."""
    snapshot = snapshots.latest(session)
    if snapshot is None or not snapshot.drift:
        return None
    moved = ", ".join(each["feature"] for each in snapshot.drift[:_DRIFT_SHOWN])
    return f"Scored accounts differ from those the model learnt from: {moved}"


def _stuck_runs(session: Session, now: datetime, *, is_running: bool) -> Iterator[str]:
    for run in runs.failed(session):
        yield f"{run.job} failed on {run.due_at:%Y-%m-%d}: {run.error}"
    for run in runs.unfinished(session):
        if not is_running or now - run.started_at > _LATE_AFTER:
            began = f"{run.started_at:%Y-%m-%d %H:%M}"
            yield f"{run.job} began on {began} and did not end; winback run repeats it"
    for file, error in imports.unfinished(session):
        yield f"the import of {file} did not end" + (f": {error}" if error else "")


def _overdue(session: Session, now: datetime) -> Iterator[str]:
    if doubtful := doubts.in_doubt(session):
        yield f"{len(doubtful)} mails in doubt: winback held list"
    mail_at = messages.next_due_at(session)
    if mail_at is not None and now - mail_at > _LATE_AFTER:
        yield f"mails have been due since {mail_at:%Y-%m-%d %H:%M}"
    cohort_at = cohorts.next_cohort_at(session)
    if cohort_at is not None and now - cohort_at > _LATE_AFTER:
        yield f"a cohort has been due since {cohort_at:%Y-%m-%d %H:%M}"
