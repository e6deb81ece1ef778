"""Serving the local SES on loopback."""

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from starlette.routing import BaseRoute

from campaigns.clock import Clock
from campaigns.errors import SenderBusyError
from campaigns.mail.local_ses.app import make_app
from campaigns.mail.local_ses.events import read_recipients
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.ses import Limits, LocalSes

LOOPBACK: Final = "127.0.0.1"
READY: Final = "local SES listens on "
_PATIENCE_TRIES: Final = 50
_PATIENCE_SECONDS: Final = 0.1


def serve(
    folder: Path,
    *,
    port: int,
    clock: Clock,
    limits: Limits,
    recipients: Path | None = None,
    stop_with_stdin: bool = False,
    announce: Callable[[str], None],
    pages: Callable[[LocalSes], list[BaseRoute]] = lambda _ses: [],
) -> None:
    """Serve until told to stop.

    Args:
        folder: Where mails and the queue are kept.
        port: 0 takes a free one.
        clock: The time, for requests that bring none.
        limits: Rate, quota and configuration sets.
        recipients: A CSV that says how mailboxes behave.
        stop_with_stdin: End when standard input closes: with the process that started
            this one, however that ends.
        announce: Is told the READY line with the address.
        pages: Makes the routes of pages for people.
    """
    outbox = _open_outbox(folder)
    ses = LocalSes(outbox, clock, limits, read_recipients(recipients))
    config = uvicorn.Config(
        make_app(ses, pages(ses)), log_level="error", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    listener = listen(port)
    if stop_with_stdin:
        threading.Thread(
            target=_stop_at_end_of_input, args=(server,), daemon=True
        ).start()
    announce(f"{READY}http://{LOOPBACK}:{listener.getsockname()[1]}")
    try:
        server.run(sockets=[listener])
    finally:
        outbox.close()


def _open_outbox(folder: Path) -> Outbox:
    """Open the outbox, waiting for a server that is just ending with its parent."""
    for _ in range(_PATIENCE_TRIES):
        try:
            return Outbox(folder)
        except SenderBusyError:
            time.sleep(_PATIENCE_SECONDS)
    return Outbox(folder)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0 takes a free one."""
    listener = socket.create_server((LOOPBACK, port))
    # Connections inherit it. Without, each small answer waits 40 ms for the other
    # side's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True
