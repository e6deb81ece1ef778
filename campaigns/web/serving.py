"""Serving the web pages beside the sender, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import uvicorn
from starlette.routing import Route

from campaigns.config import token_keys
from campaigns.domain.values import Recipient
from campaigns.domain.words import SuppressionReason
from campaigns.errors import ConfigError
from campaigns.mail import sns
from campaigns.mail.links import Tokens
from campaigns.mail.local_ses.server import listen
from campaigns.mail.sqs import translate
from campaigns.present.pages import Pages
from campaigns.shipped import templates_folder
from campaigns.steps import receive
from campaigns.store import suppressions
from campaigns.web.one_click import make_app
from campaigns.web.sns_endpoint import sns_route
from campaigns.wiring.sending import confirm_subscription
from campaigns.wiring.workspace import Workspace

_REST: Final = timedelta(days=91)
"""Three months."""


class _Recipients:
    """The recipients of a workspace's mails."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def unsubscribe(self, recipient: Recipient) -> None:
        reason, now = SuppressionReason.UNSUBSCRIBED, self._workspace.clock()
        with self._workspace.sessions.begin() as session:
            suppressions.suppress_recipient(session, recipient, reason, now=now)

    def snooze(self, recipient: Recipient) -> datetime:
        until = self._workspace.clock() + _REST
        with self._workspace.sessions.begin() as session:
            suppressions.snooze_recipient(session, recipient, until=until)
        return until


def _sns_routes(workspace: Workspace) -> list[Route]:
    """Return the route for SNS, unless no topic is allowed to use it."""
    sending = workspace.settings.sending
    if not sending.sns_topics:
        return []

    certificates = sns.Certificates()

    def verified(body: bytes) -> dict[str, str]:
        return sns.verified(
            body,
            topics=sending.sns_topics,
            versions=("1", "2") if sending.sns_sha1 else ("2",),
            certificate=certificates.at,
            now=workspace.clock(),
        )

    def take(body: str) -> None:
        receive.keep(
            workspace.sessions, [translate(body, receipt="")], now=workspace.clock()
        )

    confirm = partial(confirm_subscription, sending)
    return [sns_route(verified=verified, take=take, confirm=confirm)]


@contextmanager
def unsubscribe_page(workspace: Workspace) -> Iterator[str]:
    """Serve the unsubscribe page while the context lasts; yields its local address."""
    app = make_app(
        recipients=_Recipients(workspace),
        read_token=Tokens(token_keys(workspace.settings.secrets)).read,
        pages=Pages(templates_folder()),
        company=workspace.settings.company.name,
        others=_sns_routes(workspace),
    )
    port = workspace.settings.sending.listen_port
    try:
        listener = listen(port)
    except OSError as error:
        raise ConfigError(
            f"the unsubscribe page cannot listen on port {port} ({error.strerror}); "
            "set another [sending] listen_port"
        ) from error
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
