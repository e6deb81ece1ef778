"""`winback run`: everything in one process, in our time or in simulated time."""

import signal
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from campaigns import schedule
from campaigns.clock import SimulatedClock
from campaigns.errors import ActionRefusedError, ConfigError
from campaigns.steps.restart import restart
from campaigns.store import instance, runs
from campaigns.store.session import sender_lock
from campaigns.web.serving import unsubscribe_page
from campaigns.wiring.sending import check_simulation, sending_work, ses_endpoint
from campaigns.wiring.workspace import Workspace, simulated


def run_for_real(workspace: Workspace) -> None:
    """Run until SIGTERM or SIGINT; a mail that is being posted is finished first.

    Raises:
        ActionRefusedError: The workspace has lived in simulated time.
    """
    with workspace.sessions.begin() as session:
        if instance.simulated_until(session) is not None:
            raise ActionRefusedError(
                f"{workspace.root} lives in simulated time; make another workspace to "
                "send for real"
            )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        sender_lock(workspace.engine),
        ses_endpoint(workspace) as endpoint,
        unsubscribe_page(workspace) as page,
        sending_work(
            workspace,
            endpoint,
            public_base_url=workspace.settings.sending.public_base_url,
            is_simulated=False,
        ) as work,
    ):
        _put_right(workspace, work)
        with schedule.awake(work):
            where = endpoint or "Amazon SES"
            print(
                f"Running: mails go to {where}; unsubscribe page on {page}", flush=True
            )
            stop.wait()
            print("Stopping: mails being posted are finished first …", flush=True)


def _put_right(workspace: Workspace, work: schedule.Work) -> None:
    """Put right what a killed process left; the sender lock says nobody else runs."""
    with workspace.sessions.begin() as session:
        runs.forget_unfinished(session)
    because = restart(workspace.sessions, workspace.watermark, now=work.clock())
    if because:
        print(
            f"All running campaigns are paused: {because}. See docs/how-to/restore.md; "
            "`winback campaign resume NAME` lets one go on.",
            flush=True,
        )


def run_simulated(
    workspace: Workspace,
    span: str,
    *,
    each_day: Callable[[schedule.Work, str, date], None] = lambda *_: None,
) -> None:
    """Let simulated time pass over FROM..UNTIL; a killed simulation goes on.

    Args:
        workspace: Where; its mails go to the local SES only.
        span: Two ISO dates with two dots between.
        each_day: Is told work, endpoint and day before anything happens on it.

    Raises:
        ActionRefusedError: Mails would not go to the local SES.
    """
    start, until = read_span(span)
    workspace, clock = simulated(workspace, start=start)
    with (
        sender_lock(workspace.engine),
        ses_endpoint(workspace) as endpoint,
        unsubscribe_page(workspace) as page,
    ):
        check_simulation(endpoint)
        with sending_work(
            workspace, endpoint, public_base_url=page, is_simulated=True
        ) as work:
            _put_right(workspace, work)
            _pass_time(work, clock, start, until, endpoint or "", each_day)
    print(f"Simulated time has come to {clock():%Y-%m-%d %H:%M} UTC.")


def _pass_time(
    work: schedule.Work,
    clock: SimulatedClock,
    start: datetime,
    until: datetime,
    endpoint: str,
    each_day: Callable[[schedule.Work, str, date], None],
) -> None:
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TextColumn("{task.fields[day]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=(until - start).total_seconds(), day="")

        def show(now: datetime) -> None:
            done = (now - start).total_seconds()
            bar.update(task, completed=done, day=f"{now:%Y-%m-%d}")

        schedule.simulate(
            work,
            clock,
            until=until,
            each_day=lambda day: each_day(work, endpoint, day),
            progress=show,
        )


def read_span(span: str) -> tuple[datetime, datetime]:
    """Return the two moments of FROM..UNTIL, UTC unless they say otherwise.

    Raises:
        ConfigError: It is not of that form.
    """
    first, dots, last = span.partition("..")
    try:
        start, until = (datetime.fromisoformat(part) for part in (first, last))
    except ValueError as error:
        raise ConfigError(
            f"{span!r} is not a span such as 2026-01-05..2026-04-27"
        ) from error
    start, until = (m if m.tzinfo else m.replace(tzinfo=UTC) for m in (start, until))
    if not dots or start >= until:
        raise ConfigError(f"{span!r}: the first moment must lie before the last")
    return start, until
