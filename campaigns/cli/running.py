"""`winback run`: everything in one process, in our time or in simulated time."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime
from math import inf
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from campaigns import schedule
from campaigns.clock import SimulatedClock
from campaigns.errors import ActionRefusedError, ConfigError
from campaigns.steps.restart import restart
from campaigns.store import instance, runs
from campaigns.store.session import check_sound
from campaigns.store.workers import Presence, at_work, is_sending
from campaigns.web.serving import unsubscribe_page
from campaigns.wiring.sending import (
    check_simulation,
    new_worker,
    sending_work,
    ses_endpoint,
)
from campaigns.wiring.workspace import Workspace, simulated

_LOOKS_EVERY_SECONDS: Final = 0.1


class _Signal:
    """SIGTERM or SIGINT, which may be waited for.

    No `threading.Event`: the system may give a signal to another thread, and then one
    that waits without end is not woken to hear of it.
    """

    def __init__(self) -> None:
        self._came = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self._came = True

    def wait(self, seconds: float = inf) -> bool:
        """Wait for one, at most so long; say whether it came."""
        until = time.monotonic() + seconds
        while not self._came and time.monotonic() < until:
            time.sleep(min(_LOOKS_EVERY_SECONDS, seconds))
        return self._came


def serve_page(workspace: Workspace) -> None:
    """Serve the unsubscribe page until SIGTERM or SIGINT, whether a sender runs or not.

    Raises:
        ConfigError: Its port is in use.
    """
    stop = _Signal()
    with unsubscribe_page(workspace) as page:
        print(f"Serving the unsubscribe page on {page}", flush=True)
        stop.wait()


def run_for_real(workspace: Workspace, *, with_page: bool) -> None:
    """Run until SIGTERM or SIGINT; a mail that is being posted is finished first.

    Args:
        workspace: Where.
        with_page: Whether the unsubscribe page is served from here, not by another.

    Raises:
        ActionRefusedError: The workspace has lived in simulated time.
    """
    _check_our_time(workspace)
    stop = _Signal()
    served = unsubscribe_page(workspace) if with_page else nullcontext("another's port")
    with (
        _in_our_time(workspace, schedules=True) as (presence, endpoint, work),
        served as page,
    ):
        _put_right(workspace, presence, work)
        with schedule.awake(work):
            where = endpoint or "Amazon SES"
            print(
                f"Running: mails go to {where}; unsubscribe page on {page}", flush=True
            )
            stop.wait()
            print("Stopping: mails being posted are finished first …", flush=True)


def run_worker(workspace: Workspace) -> None:
    """Send until SIGTERM or SIGINT, beside a `winback run` and other workers.

    Raises:
        ActionRefusedError: The workspace has lived in simulated time.
        ConfigError: It would start a local SES of its own.
        SenderBusyError: On SQLite, another process sends.
    """
    _check_our_time(workspace)
    if workspace.settings.sending.endpoint_url is None:
        raise ConfigError(
            'a worker needs [sending] endpoint_url ("aws" is Amazon SES): local '
            "stand-ins of several workers would share no limits"
        )
    stop = _Signal()
    began_at = workspace.clock()
    with _in_our_time(workspace, schedules=False) as (presence, _, work):
        if is_sending(workspace.engine):
            _wait_for_a_beat(workspace, after=began_at, stop=stop)
            work.desk.guard.raise_mark()
        else:
            _restart(workspace, presence, work)
        with schedule.awake(work, only_sends=True):
            print(f"Sending as {presence.worker}", flush=True)
            stop.wait()
            print("Stopping: mails being posted are finished first …", flush=True)


@contextmanager
def _in_our_time(
    workspace: Workspace, *, schedules: bool
) -> Iterator[tuple[Presence, str | None, schedule.Work]]:
    """Be there as a worker; yields its presence, where mails go, and what to do."""
    check_sound(workspace.engine)
    with (
        at_work(workspace.engine, new_worker(), schedules=schedules) as presence,
        ses_endpoint(workspace) as endpoint,
        sending_work(
            workspace,
            endpoint,
            presence=presence,
            public_base_url=workspace.settings.sending.public_base_url,
            is_simulated=False,
        ) as work,
    ):
        yield presence, endpoint, work


def _wait_for_a_beat(workspace: Workspace, *, after: datetime, stop: _Signal) -> None:
    """Wait until `winback run`, which knows whether this is a copy, has looked.

    A worker in another place has no mark to tell by, or one of long ago.
    """
    while not stop.wait(1):
        with workspace.sessions.begin() as session:
            alive_at = instance.alive_at(session)
        if alive_at is not None and alive_at > after:
            return


def _check_our_time(workspace: Workspace) -> None:
    with workspace.sessions.begin() as session:
        if instance.simulated_until(session) is not None:
            raise ActionRefusedError(
                f"{workspace.root} lives in simulated time; make another workspace to "
                "send for real"
            )


def _put_right(workspace: Workspace, presence: Presence, work: schedule.Work) -> None:
    """Put right what a killed process left; nobody else schedules."""
    with workspace.sessions.begin() as session:
        runs.forget_unfinished(session)
    _restart(workspace, presence, work)


def _restart(workspace: Workspace, presence: Presence, work: schedule.Work) -> None:
    because = restart(
        workspace.sessions,
        work.desk.guard,
        worker=presence.worker,
        now=work.clock(),
    )
    if because:
        print(f"Nothing is sent: {because}. See docs/how-to/restore.md.", flush=True)


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
        at_work(workspace.engine, new_worker(), schedules=True) as presence,
        ses_endpoint(workspace) as endpoint,
        unsubscribe_page(workspace) as page,
    ):
        check_simulation(endpoint)
        with sending_work(
            workspace,
            endpoint,
            presence=presence,
            public_base_url=page,
            is_simulated=True,
        ) as work:
            _put_right(workspace, presence, work)
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
