"""Everything is built here, from settings, and handed down.

Nothing below opens a database, a client or a process by itself; importing this package
opens nothing.
"""

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from campaigns.clock import Clock, SimulatedClock, system_clock
from campaigns.config import Settings, as_bytes, read_settings, token_keys
from campaigns.domain.addresses import hash_address
from campaigns.errors import ActionRefusedError, ConfigError
from campaigns.mail.links import Tokens
from campaigns.mail.local_ses.app import NOW_HEADER
from campaigns.mail.local_ses.server import READY
from campaigns.mail.ses import SesSender
from campaigns.mail.sqs import EventQueue
from campaigns.mail.templates import Templates
from campaigns.present.pages import Pages, report_json
from campaigns.present.report import WeeklyReport
from campaigns.schedule import Work
from campaigns.shipped import templates_folder
from campaigns.steps import deliver, enrol, ingest, receive, report, score
from campaigns.steps.compose import Composer
from campaigns.steps.settle import SettleResult, settle
from campaigns.store import instance, schema
from campaigns.store.session import (
    Engine,
    Sessions,
    make_sessions,
    open_engine,
)
from campaigns.store.usage import UsageLake

_STARTS_WITHIN_SECONDS: Final = 20
_READ_TIMEOUT_SECONDS: Final = 60
_CONNECT_TIMEOUT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Workspace:
    """An open workspace: its settings, database, lake, folders and clock."""

    root: Path
    settings: Settings
    engine: Engine
    sessions: Sessions
    clock: Clock

    @property
    def lake(self) -> UsageLake:
        """The usage events."""
        return UsageLake(self.root / "usage")

    @property
    def segments_file(self) -> Path:
        """The taxonomy."""
        return self.root / "segments.toml"

    @property
    def reports_folder(self) -> Path:
        """Where reports are written."""
        return self.root / "reports"

    @property
    def mails_folder(self) -> Path:
        """Where the local SES keeps mails."""
        return self.root / "mails"

    def templates(self) -> Templates:
        """Return the e-mail templates, the workspace's own before the shipped ones."""
        own = self.root / "templates" / "email"
        return Templates([own, templates_folder() / "email"])

    def learning(self) -> score.Learning:
        """Return what training and scoring work with."""
        return score.Learning(
            self.sessions,
            self.lake,
            self.settings.churn.definition(),
            self.settings.win_back.definition(),
            self.segments_file,
            self.root / "models",
        )

    def address_hash(self) -> Callable[[str], str]:
        """Return what turns an address into its keyed hash."""
        return partial(hash_address, key=as_bytes(self.settings.secrets.address_key))

    def settle(self, now: datetime) -> SettleResult:
        """Settle returns and closed windows as of a moment."""
        return settle(
            self.sessions,
            self.lake,
            definition=self.settings.win_back.definition(),
            now=now,
        )

    def import_place(self) -> ingest.Workplace:
        """Return where imports read from and write to."""
        return ingest.Workplace(
            self.sessions,
            self.lake,
            self.root / "rejects",
            self.address_hash(),
            self.clock,
        )

    def programme(self) -> enrol.Programme:
        """Return what holds for all campaigns."""
        settings = self.settings
        return enrol.Programme(
            as_bytes(settings.secrets.holdout_key),
            settings.programme.holdout_share,
            settings.win_back.definition(),
            settings.programme.default_time_zone,
        )

    def reporting(self) -> report.Reporting:
        """Return what reports are made with."""
        from campaigns.scoring import read_segments

        settings = self.settings
        titles = {each.name: each.title for each in read_segments(self.segments_file)}
        return report.Reporting(
            self.sessions,
            self.lake,
            settings.company.name,
            settings.churn.definition(),
            settings.win_back.definition(),
            settings.programme.baseline,
            titles | {"general": "Unsure (general mail)"},
        )


def open_workspace(root: Path, *, clock: Clock | None = None) -> Workspace:
    """Open the workspace at `root`.

    Args:
        root: Its folder.
        clock: The time; None for ours or, in a workspace that was simulated, for the
            moment its simulated time has come to.

    Raises:
        ConfigError: Its settings are wrong, or its database is not at this version.
    """
    settings = read_settings(root)
    engine = open_engine(_database_url(root, settings.database.url))
    if not schema.is_current(engine):
        schema.upgrade(engine)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        instance.create(session, name=os.urandom(4).hex(), now=system_clock())
        simulated = instance.simulated_until(session)
    if clock is None:
        clock = SimulatedClock(simulated) if simulated else system_clock
    return Workspace(root, settings, engine, sessions, clock)


def _database_url(root: Path, url: str) -> str:
    scheme, _, path = url.partition("sqlite:///")
    if scheme or path.startswith("/"):
        return url
    return f"sqlite:///{(root / path).absolute()}"


@contextmanager
def ses_endpoint(workspace: Workspace) -> Iterator[str | None]:
    """Yield the address mails are sent to; None for Amazon's own.

    Without a setting, the local stand-in is started and ends with this process.
    """
    configured = workspace.settings.sending.endpoint_url
    if configured is not None:
        yield None if configured == "aws" else configured
        return
    local = workspace.settings.local_ses
    command = [
        *(sys.executable, "-m", "campaigns", "ses-local", "--port", "0"),
        *("--folder", str(workspace.mails_folder), "--stop-with-stdin"),
        *("--max-per-second", str(local.max_per_second)),
        *("--max-per-day", str(local.max_per_day)),
        *("--configuration-set", workspace.settings.sending.configuration_set),
    ]
    if local.recipients is not None:
        command += ["--recipients", str(workspace.root / local.recipients)]
    with subprocess.Popen(  # noqa: S603 — our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A Ctrl-C is for us alone: mails being posted are finished first.
        start_new_session=True,
    ) as process:
        try:
            yield _wait_until_ready(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
            process.wait(_STARTS_WITHIN_SECONDS)


def _wait_until_ready(process: subprocess.Popen[str]) -> str:
    timer = threading.Timer(_STARTS_WITHIN_SECONDS, process.kill)
    timer.start()
    try:
        for line in process.stdout or ():
            if line.startswith(READY):
                return line.removeprefix(READY).strip()
    finally:
        timer.cancel()
    raise ConfigError(
        "the local SES did not start; run `winback ses-local` to see why, or set "
        "[sending] endpoint_url"
    )


def is_local_ses(endpoint: str | None) -> bool:
    """Say whether our local stand-in answers at `endpoint`."""
    if endpoint is None or not endpoint.startswith("http://127.0.0.1:"):
        return False
    try:
        with urllib.request.urlopen(f"{endpoint}/_local", timeout=5) as answer:  # noqa: S310 — loopback, checked above
            return b'"local_ses":true' in answer.read()
    except OSError:
        return False


def make_clients(workspace: Workspace, endpoint: str | None) -> tuple[Any, Any]:
    """Return boto3's clients for SES and SQS at `endpoint`."""
    import boto3
    from botocore.config import Config

    sending = workspace.settings.sending
    is_local = is_local_ses(endpoint)
    credentials: dict[str, Any] = {}
    if is_local:
        credentials = {
            "aws_access_key_id": "local",
            "aws_secret_access_key": "local",  # not a secret: loopback only
        }
    session = boto3.Session(region_name=sending.region, **credentials)
    # SES cannot tell a repeated request from a new one, so never repeat it blindly.
    once = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        read_timeout=_READ_TIMEOUT_SECONDS,
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        max_pool_connections=sending.senders,
        tcp_keepalive=True,
        user_agent="winback",
    )
    ses = session.client("sesv2", endpoint_url=endpoint, config=once)
    sqs = session.client(
        "sqs", endpoint_url=endpoint, config=Config(user_agent="winback")
    )
    if is_local:
        for client, name in ((ses, "sesv2"), (sqs, "sqs")):
            client.meta.events.register(
                f"before-send.{name}", _tell_the_time(workspace.clock)
            )
    return ses, sqs


def _tell_the_time(clock: Clock) -> Callable[..., None]:
    """Return a handler by which our clock goes with every request."""

    def add_header(request: Any, **_: object) -> None:  # noqa: ANN401
        request.headers[NOW_HEADER] = clock().isoformat()

    return add_header


def _queue_url(sqs: Any, configured: str | None) -> str:  # noqa: ANN401
    if configured is not None:
        return configured
    return str(sqs.get_queue_url(QueueName="winback-events")["QueueUrl"])


def serially(
    post: Callable[[deliver.Ready], Any], mails: Sequence[deliver.Ready]
) -> Iterable[Any]:
    """Post one mail after the other: the same order on every run."""
    return [post(mail) for mail in mails]


@contextmanager
def sending_work(
    workspace: Workspace,
    endpoint: str | None,
    *,
    public_base_url: str,
    is_simulated: bool,
) -> Iterator[Work]:
    """Yield everything a wake-up may have to do; the caller holds the sender lock."""
    settings = workspace.settings
    ses, sqs = make_clients(workspace, endpoint)
    sender = SesSender(
        ses,
        from_address=settings.sending.sender,
        reply_to=settings.sending.reply_to,
        configuration_set=settings.sending.configuration_set,
    )
    queue = EventQueue(sqs, queue_url=_queue_url(sqs, settings.sending.queue_url))
    with ThreadPoolExecutor(settings.sending.senders) as pool:
        desk = deliver.Desk(
            sessions=workspace.sessions,
            send=sender.send,
            quota=sender.quota,
            composer=composer(workspace, public_base_url=public_base_url),
            execute=serially if is_simulated else pool.map,
            senders=settings.sending.senders,
            clock=workspace.clock,
            sleep=time.sleep,
            worker=f"sender-{os.getpid()}",
            default_time_zone=settings.programme.default_time_zone,
        )
        yield Work(
            sessions=workspace.sessions,
            clock=workspace.clock,
            desk=desk,
            post=receive.Post(
                workspace.sessions,
                partial(queue.receive, wait_seconds=0),
                queue.delete,
                workspace.clock,
            ),
            learning=workspace.learning(),
            programme=workspace.programme(),
            reporting=workspace.reporting(),
            import_place=workspace.import_place(),
            settle=workspace.settle,
            publish=partial(publish, workspace),
        )


def composer(workspace: Workspace, *, public_base_url: str) -> Composer:
    """Return what mails are made with."""
    settings = workspace.settings
    with workspace.sessions.begin() as session:
        name = instance.name(session)
    company = settings.company
    return Composer(
        templates=workspace.templates(),
        tokens=Tokens(token_keys(settings.secrets)),
        company={
            "name": company.name,
            "signature": company.signature,
            "postal_address": company.postal_address,
        },
        return_url=company.return_url,
        public_base_url=public_base_url,
        feature_words=settings.product.features,
        instance=name,
    )


def publish(workspace: Workspace, weekly: WeeklyReport) -> Path:
    """Write a report as HTML, Markdown and JSON; return the HTML file."""
    pages = Pages(templates_folder())
    folder = workspace.reports_folder
    folder.mkdir(parents=True, exist_ok=True)
    html = folder / f"{weekly.week}.html"
    for path, text in (
        (html, pages.report_html(weekly)),
        (html.with_suffix(".md"), pages.report_markdown(weekly)),
        (html.with_suffix(".json"), report_json(weekly)),
    ):
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.replace(path)
    return html


def check_simulation(endpoint: str | None) -> None:
    """Refuse to simulate towards anything but our local stand-in.

    Raises:
        ActionRefusedError: The endpoint is another one.
    """
    if not is_local_ses(endpoint):
        raise ActionRefusedError(
            "simulated time is only allowed with the local SES: remove [sending] "
            "endpoint_url, or point it at `winback ses-local`"
        )


def simulated(
    workspace: Workspace, *, start: datetime
) -> tuple[Workspace, SimulatedClock]:
    """Return the workspace with a clock that begins at `start` or where it stood."""
    with workspace.sessions.begin() as session:
        stood_at = instance.simulated_until(session)
    clock = SimulatedClock(max(start, stood_at) if stood_at else start)
    with workspace.sessions.begin() as session:
        instance.simulate_until(session, clock())
    return (
        Workspace(
            workspace.root,
            workspace.settings,
            workspace.engine,
            workspace.sessions,
            clock,
        ),
        clock,
    )
