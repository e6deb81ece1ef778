"""What sending works with: the endpoint, boto3's clients, all of a wake-up's work."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final

from campaigns.clock import Clock
from campaigns.config import SendingSettings, token_keys
from campaigns.domain.values import Email
from campaigns.errors import ActionRefusedError, ConfigError, RetryLaterError
from campaigns.mail import ses_bulk
from campaigns.mail.links import Tokens
from campaigns.mail.local_ses.in_process import Answering, answer_in_process
from campaigns.mail.local_ses.protocol import NOW_HEADER
from campaigns.mail.local_ses.server import READY
from campaigns.mail.render_room import RenderRoom
from campaigns.mail.ses import SesSender
from campaigns.mail.ses_account import SesAccount
from campaigns.mail.sqs import EventQueue
from campaigns.present.pages import Pages
from campaigns.rules.pacing import Policy
from campaigns.schedule import Work
from campaigns.shipped import templates_folder
from campaigns.steps import distribute, learn, receive, restart, sync
from campaigns.steps.compose import Composer, Render
from campaigns.steps.copies import CopyGuard
from campaigns.steps.desk import Desk
from campaigns.store.session import Sessions
from campaigns.store.workers import Presence
from campaigns.wiring.workspace import Workspace, publish

_POLL_SECONDS: Final = 2
_QUEUE_NAME: Final = "winback-events"
_STARTS_WITHIN_SECONDS: Final = 20
_READ_TIMEOUT_SECONDS: Final = 60
_CONNECT_TIMEOUT_SECONDS: Final = 5
_NOWHERE: Final = "http://127.0.0.1:1"  # answered before anything is sent there


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
    once = client_config(sending.senders)
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


def client_config(connections: int = 10) -> Any:  # noqa: ANN401 — botocore's Config
    """Return settings by which a request is sent once, and costs little.

    SES cannot tell a repeated request from a new one, so none is repeated blindly. What
    is asked for is made by us and well formed; to have it looked over each time, or
    compressed, costs a sixth of a request's time.
    """
    from botocore.config import Config

    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        read_timeout=_READ_TIMEOUT_SECONDS,
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        tcp_keepalive=True,
        user_agent="winback",
        max_pool_connections=connections,
        parameter_validation=False,
        disable_request_compression=True,
    )


def make_clients_in_process(protocol: Answering) -> tuple[Any, Any]:
    """Return boto3's clients for an SES and SQS that answer in this process."""
    import boto3

    session = boto3.Session(
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 — not a secret: nothing goes out
    )
    clients = [
        session.client(name, endpoint_url=_NOWHERE, config=client_config())
        for name in ("sesv2", "sqs")
    ]
    for client in clients:
        answer_in_process(client, protocol)
    return clients[0], clients[1]


def confirm_subscription(sending: SendingSettings, topic: str, token: str) -> None:
    """Confirm that a topic of ours posts to us; the address in its message is not used.

    Raises:
        RetryLaterError: SNS did not say yes.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client("sns", region_name=sending.region)
    try:
        client.confirm_subscription(
            TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true"
        )
    except (BotoCoreError, ClientError) as error:
        kind = type(error).__name__
        raise RetryLaterError(f"the subscription was not confirmed: {kind}") from error


def _tell_the_time(clock: Clock) -> Callable[..., None]:
    """Return a handler by which our clock goes with every request."""

    def add_header(request: Any, **_: object) -> None:  # noqa: ANN401
        request.headers[NOW_HEADER] = clock().isoformat()

    return add_header


def queue_url(sqs: Any, configured: str | None) -> str:  # noqa: ANN401
    """Return the address of the queue that events arrive in.

    Raises:
        ConfigError: It was not found.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if configured is not None:
        return configured
    try:
        return str(sqs.get_queue_url(QueueName=_QUEUE_NAME)["QueueUrl"])
    except (BotoCoreError, ClientError) as error:
        raise ConfigError(
            f"the event queue {_QUEUE_NAME} was not found ({type(error).__name__}): "
            "without it no bounce and no complaint is heard of; make it, or set "
            "[sending] queue_url (docs/how-to/send-for-real.md)"
        ) from error


def new_worker() -> str:
    """Return a name that no other worker ever has."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"


def at_once(act: Callable[[], None]) -> None:
    """Post one mail after the other: the same order on every run."""
    act()


@contextmanager
def sending_work(
    workspace: Workspace,
    endpoint: str | None,
    *,
    presence: Presence,
    public_base_url: str,
    is_simulated: bool,
) -> Iterator[Work]:
    """Yield everything a wake-up may have to do; the caller is at work."""
    settings = workspace.settings
    stop = threading.Event()
    guard = workspace.guard(is_simulated=is_simulated)
    ses, sqs = make_clients(workspace, endpoint)
    sender = SesSender(
        ses,
        from_address=settings.sending.sender,
        reply_to=settings.sending.reply_to,
        configuration_set=settings.sending.configuration_set,
    )
    queue = EventQueue(sqs, queue_url=queue_url(sqs, settings.sending.queue_url))
    room = RenderRoom(workspace.template_folders)
    with ThreadPoolExecutor(settings.sending.senders) as pool, closing(room):
        desk = Desk(
            sessions=workspace.sessions,
            send=sender.send_all,
            per_request=ses_bulk.MOST if settings.sending.bulk else 1,
            quota=sender.quota,
            composer=composer(
                workspace,
                public_base_url=public_base_url,
                # Simulated time is a rehearsal of our own templates, and in a hurry.
                render=workspace.templates().render if is_simulated else room.render,
            ),
            start=at_once if is_simulated else pool.submit,
            senders=settings.sending.senders,
            clock=workspace.clock,
            sleep=time.sleep,
            worker=presence.worker,
            guard=guard,
            default_time_zone=settings.programme.default_time_zone,
            policy=Policy(
                settings.sending.reserve_share, settings.sending.warm_up_from
            ),
            should_stop=stop.is_set,
        )
        yield Work(
            sessions=workspace.sessions,
            clock=workspace.clock,
            desk=desk,
            post=receive.Post(
                workspace.sessions,
                partial(
                    queue.receive, wait_seconds=0 if is_simulated else _POLL_SECONDS
                ),
                queue.waiting,
                queue.delete,
                sender.send,
                workspace.clock,
            ),
            learning=workspace.learning(),
            programme=workspace.programme(),
            reporting=workspace.reporting(),
            import_place=workspace.import_place(),
            sync=partial(sync.sync, ses_list(workspace, ses)),
            settle=workspace.settle,
            learn=partial(_learn, workspace),
            beat=partial(beat, workspace.sessions, guard, presence),
            publish=partial(publish, workspace),
            distribution=distribution(workspace, sender.send),
            stop=stop,
        )


def _learn(workspace: Workspace, now: datetime) -> list[learn.Learnt]:
    if not workspace.settings.learning.weekly:
        return []
    return learn.learn(workspace.learning(), now=now)


def distribution(
    workspace: Workspace, send: Callable[[Email], str]
) -> distribute.Distribution:
    """Return who gets the weekly report, and how."""
    hash_of = workspace.address_hash()
    pages = Pages(templates_folder())
    return distribute.Distribution(
        readers=tuple(
            distribute.Reader(each.address, hash_of(each.address), each.time_zone)
            for each in workspace.settings.report.subscribers
        ),
        hour=workspace.settings.report.hour,
        letter=lambda weekly: distribute.Letter(*pages.report_mail(weekly)),
        send=send,
    )


def ses_list(workspace: Workspace, ses: Any) -> sync.SesList:  # noqa: ANN401
    """Return what a sync with SES's own suppression list works with."""
    return sync.SesList(
        workspace.sessions,
        SesAccount(ses).suppressed,
        workspace.address_hash(),
        workspace.clock,
    )


def beat(
    sessions: Sessions, guard: CopyGuard, presence: Presence, now: datetime
) -> None:
    """Show that this worker is there, and put right what dead ones left."""
    if presence.hold():
        guard.ask(now=now)
    restart.sweep(sessions, worker=presence.worker, now=now)
    guard.beat(now=now)


def composer(workspace: Workspace, *, public_base_url: str, render: Render) -> Composer:
    """Return what mails are made with."""
    settings = workspace.settings
    company = settings.company
    return Composer(
        render=render,
        tokens=Tokens(token_keys(settings.secrets)),
        company={
            "name": company.name,
            "signature": company.signature,
            "postal_address": company.postal_address,
        },
        return_url=company.return_url,
        public_base_url=public_base_url,
        feature_words=settings.product.features,
    )


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
