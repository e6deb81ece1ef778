"""The unsubscribe page: RFC 8058.

A POST that carries List-Unsubscribe=One-Click acts, without login, cookie or redirect;
the token is the authority. Everything else shows a page: scanners follow links, and a
scanner must unsubscribe nobody.
"""

from collections.abc import Callable

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from campaigns.present.pages import Pages

logger = structlog.get_logger(__name__)

_OK, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


def make_app(
    *, unsubscribe: Callable[[int], bool], read_token: Callable[[str], int | None],
    pages: Pages, company: str,
) -> Starlette:  # fmt: skip
    """Return the application that answers unsubscribe links.

    Args:
        unsubscribe: Suppresses the recipient of a message, durably; False if there is
            no such message.
        read_token: Returns the message a token names, None for a forged one.
        pages: Draws the answers.
        company: Whose mails they are.
    """

    def page(name: str, status: int) -> Response:
        return HTMLResponse(pages.page(name, company=company), status_code=status)

    def show(request: Request) -> Response:
        is_ours = read_token(request.path_params["token"]) is not None
        return page("unsubscribe", _OK) if is_ours else page("unknown", _NOT_FOUND)

    async def act(request: Request) -> Response:
        message = read_token(request.path_params["token"])
        if message is None:
            return page("unknown", _NOT_FOUND)
        form = await request.form()
        if form.get("List-Unsubscribe") != "One-Click":
            return page("unsubscribe", _BAD_REQUEST)
        if not await run_in_threadpool(unsubscribe, message):
            return page("unknown", _NOT_FOUND)
        logger.info("unsubscribed", message=message)
        return page("unsubscribed", _OK)

    return Starlette(
        routes=[
            Route("/u/{token}", show, methods=["GET", "HEAD"]),
            Route("/u/{token}", act, methods=["POST"]),
        ]
    )
