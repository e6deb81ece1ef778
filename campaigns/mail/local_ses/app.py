"""The local SES over HTTP, with the faults that only a connection can have."""

import asyncio
from typing import Final

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from campaigns.mail.local_ses.faults import FaultRequest, SendFault
from campaigns.mail.local_ses.operations import Call
from campaigns.mail.local_ses.protocol import Answer, Protocol
from campaigns.mail.local_ses.ses import LocalSes

_SILENCE_SECONDS: Final = 300
_DIGITS: Final = 18  # that the database's whole numbers hold


FROM_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})
"""What a browser says of a request that another site's page makes."""


def make_app(ses: LocalSes, pages: list[BaseRoute] | None = None) -> ASGIApp:
    """Return the HTTP application that serves `ses`.

    Args:
        ses: Which SES.
        pages: Routes of pages for people, which come first.
    """
    protocol = Protocol(ses)

    async def aws(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = Call(
            request.method,
            # As sent: a name in it may hold an escaped slash.
            request.scope["raw_path"].decode("ascii"),
            dict(request.headers),
            await request.body(),
            dict(request.query_params),
        )
        await _give(protocol.answer(call), receive, send)

    starlette = Starlette(
        routes=[
            *(pages or []),
            *_own_routes(ses),
        ]
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_aws = scope["type"] == "http" and (
            scope["path"].startswith("/v2/")
            or any(name == b"x-amz-target" for name, _ in scope["headers"])
        )
        await (aws if is_aws else starlette)(scope, receive, send)

    return app


def _own_routes(ses: LocalSes) -> list[Route]:
    """Return what is ours alone: the pulse, the mails as JSON, the faults."""

    async def local(_request: Request) -> Response:
        moment = ses.outbox.next_event_at()
        next_event_at = moment.isoformat() if moment else None
        return Response(
            orjson.dumps({"local_ses": True, "next_event_at": next_event_at}),
            media_type="application/json",
        )

    async def mails(request: Request) -> Response:
        told = request.query_params.get("after", "")
        is_number = told.isascii() and told.isdigit() and len(told) <= _DIGITS
        after = int(told) if is_number else 0
        return JSONResponse({"mails": ses.outbox.mails_after(after)})

    async def faults(request: Request) -> Response:
        if request.headers.get("sec-fetch-site") in FROM_ELSEWHERE:
            return JSONResponse({"error": "not from another site"}, status_code=403)
        if request.method == "POST":
            try:
                asked = FaultRequest.model_validate_json(await request.body())
            except ValidationError as error:
                return JSONResponse(
                    {"error": str(error.errors()[0]["msg"])}, status_code=422
                )
            ses.be_faulty(asked)
        return JSONResponse({**ses.faults.plain(), "paused": not ses.is_enabled})

    return [
        Route("/_local", local, methods=["GET"]),
        Route("/_local/mails", mails, methods=["GET"]),
        Route("/_local/faults", faults, methods=["GET", "POST"]),
    ]


async def _give(answer: Answer, receive: Receive, send: Send) -> None:
    if answer.fault is SendFault.TIME_OUT_AFTER_ACCEPT:
        await _until_gone(receive, within_seconds=_SILENCE_SECONDS)
        return
    if answer.fault is SendFault.DROP:
        await _close(receive, send)
        return
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
    )
    is_cut = answer.fault is SendFault.CUT_ANSWER
    body = answer.body[: len(answer.body) // 2] if is_cut else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": is_cut})
    if is_cut:
        await _close(receive, send)


async def _close(receive: Receive, send: Send) -> None:
    """Close the connection as it is; what was sent so far goes out."""
    # ASGI has no way to say so: uvicorn's own object behind `send` has the connection.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.close()
    await _until_gone(receive, within_seconds=1)


async def _until_gone(receive: Receive, *, within_seconds: float) -> None:
    try:
        async with asyncio.timeout(within_seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
