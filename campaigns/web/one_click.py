"""The unsubscribe page: RFC 8058, and a rest for those who only want one.

A POST that carries List-Unsubscribe=One-Click acts, without login, cookie or redirect;
the token is the authority. Everything else shows a page: scanners follow links, and a
scanner must unsubscribe nobody.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from campaigns.domain.values import Recipient
from campaigns.errors import NotFoundError
from campaigns.present.pages import Pages

logger = structlog.get_logger(__name__)

_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


class Recipients(Protocol):
    """What people may ask for, each by a mail that they got.

    Both are durable when they return, and raise NotFoundError where nothing is known of
    the mail.
    """

    def unsubscribe(self, recipient: Recipient) -> None:
        """Write to them no more."""

    def snooze(self, recipient: Recipient) -> datetime:
        """Let them rest; return until when."""


def make_app(
    *, recipients: Recipients, read_token: Callable[[str], Recipient | None],
    pages: Pages, company: str, others: Sequence[Route] = (),
) -> Starlette:  # fmt: skip
    """Return the application that answers unsubscribe links.

    Args:
        recipients: Does what is asked for.
        read_token: Returns the recipient a token names, None for a forged one.
        pages: Draws the answers.
        company: Whose mails they are.
        others: More routes that are served at the same address.
    """

    def page(name: str, status: int = _OK, **facts: Any) -> Response:  # noqa: ANN401
        text = pages.page(name, company=company, **facts)
        return HTMLResponse(text, status_code=status)

    def show(request: Request) -> Response:
        is_ours = read_token(request.path_params["token"]) is not None
        return page("unsubscribe") if is_ours else page("unknown", _NOT_FOUND)

    async def act(request: Request) -> Response:
        recipient = read_token(request.path_params["token"])
        if recipient is None:
            return page("unknown", _NOT_FOUND)
        form = await request.form()
        try:
            if form.get("List-Unsubscribe") == "One-Click":
                await run_in_threadpool(recipients.unsubscribe, recipient)
                logger.info("unsubscribed", message=recipient.message)
                return page("unsubscribed")
            if form.get("snooze") == "three-months":
                until = await run_in_threadpool(recipients.snooze, recipient)
                logger.info("snoozed", message=recipient.message)
                return page("snoozed", until=until)
        except NotFoundError:
            return page("unknown", _NOT_FOUND)
        return page("unsubscribe", _BAD_REQUEST)

    return Starlette(
        routes=[
            Route("/u/{token}", show, methods=["GET", "HEAD"]),
            Route("/u/{token}", act, methods=["POST"]),
            *others,
        ]
    )
