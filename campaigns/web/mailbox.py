"""The local SES's pages: every mail it took, and the faults it is asked for.

A mail's HTML is shown in a frame that runs no script and fetches nothing. How it looks
in the dark is decided here, not by the reader's system, so both can be seen anywhere.
"""

import re
from base64 import b64encode
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import BaseRoute, Route

from campaigns.mail.local_ses.app import FROM_ELSEWHERE
from campaigns.mail.local_ses.faults import FaultRequest, SendFault
from campaigns.mail.local_ses.ses import LocalSes
from campaigns.present.pages import Pages

_ON_A_PAGE: Final = 50
_DIGITS: Final = 18  # that the database's whole numbers hold
_VIEWS: Final = ("html", "text", "headers", "source")
_WIDTHS: Final = {"wide": "100%", "mail": "600px", "phone": "375px"}
_SCHEMES: Final = ("light", "dark")
_ASKS_FOR_SCHEME: Final = re.compile(
    r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)"
)
_ALWAYS, _NEVER = "(min-width: 0px)", "(max-width: 0px)"
_NOTHING_RUNS: Final = {
    "content-security-policy": "sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:",
    "x-content-type-options": "nosniff",
}
_OURS_ONLY: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Mailbox:
    """The pages of one local SES.

    Args:
        ses: Whose mails and faults.
        pages: Draws them.
    """

    def __init__(self, ses: LocalSes, pages: Pages) -> None:
        self._ses = ses
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """Return where the pages are."""
        return [
            Route("/", self.listed, methods=["GET"]),
            Route("/mails/{number}", self.shown, methods=["GET"]),
            Route("/mails/{number}/html", self.html, methods=["GET"]),
            Route("/faults", self.be_faulty, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """Show the newest mails, or those that a search finds, and the faults."""
        ses, text = self._ses, request.query_params.get("q", "")
        before = _whole_number(request.query_params.get("before"))
        mails = ses.outbox.find_mails(text, limit=_ON_A_PAGE + 1, before=before)
        older = mails[_ON_A_PAGE - 1]["number"] if len(mails) > _ON_A_PAGE else None
        return self._page(
            "mailbox",
            mails=mails[:_ON_A_PAGE],
            text=text,
            older=urlencode({"q": text, "before": older}) if older else None,
            total=ses.outbox.taken(),
            faults=ses.faults.plain(),
            kinds=[str(kind) for kind in SendFault],
            is_paused=not ses.is_enabled,
            limits=ses.limits,
            problem=request.query_params.get("problem"),
        )

    async def shown(self, request: Request) -> Response:
        """Show one mail: a part of it, in a width and a scheme."""
        found = self._found(request)
        if found is None:
            return PlainTextResponse("There is no such mail.", status_code=404)
        facts, source = found
        asked = request.query_params
        message = _parsed(source)
        return self._page(
            "mail",
            mail=facts,
            view=_one_of(asked.get("view"), _VIEWS),
            views=_VIEWS,
            width=_one_of(asked.get("width"), tuple(_WIDTHS)),
            widths=_WIDTHS,
            scheme=_one_of(asked.get("scheme"), _SCHEMES),
            schemes=_SCHEMES,
            text=_part(message, "plain"),
            source=source.decode("utf-8", "replace"),
            headers=[(name, str(value)) for name, value in message.items()],
        )

    async def html(self, request: Request) -> Response:
        """Give a mail's HTML for the frame it is shown in."""
        found = self._found(request)
        if found is None:
            return PlainTextResponse("There is no such mail.", status_code=404)
        scheme = _one_of(request.query_params.get("scheme"), _SCHEMES)
        message = _parsed(found[1])
        text = _part(message, "html") or "<p>This mail has no HTML part.</p>"
        shown = in_scheme(_with_pictures(text, message), scheme)
        return HTMLResponse(shown, headers=_NOTHING_RUNS)

    async def be_faulty(self, request: Request) -> Response:
        """Put the form's faults in force."""
        if request.headers.get("sec-fetch-site") in FROM_ELSEWHERE:
            return PlainTextResponse("Not from another site.", status_code=403)
        async with request.form() as form:
            asked = _fault_request({name: str(value) for name, value in form.items()})
        try:
            self._ses.be_faulty(FaultRequest.model_validate(asked))
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{first['loc'][-1]}: {first['msg']}"
            return RedirectResponse(f"/?{urlencode({'problem': problem})}", 303)
        return RedirectResponse("/", 303)

    def _found(self, request: Request) -> tuple[dict[str, Any], bytes] | None:
        number = _whole_number(request.path_params["number"])
        try:
            return None if number is None else self._ses.outbox.mail(number)
        except FileNotFoundError:
            return None  # somebody removed the file

    def _page(self, name: str, **facts: Any) -> HTMLResponse:  # noqa: ANN401
        page = self._pages.page(name, company="local SES", **facts)
        return HTMLResponse(page, headers=_OURS_ONLY)


def in_scheme(html: str, scheme: str) -> str:
    """Return a mail's HTML as it looks in a scheme, whatever the reader's is.

    >>> in_scheme("@media (prefers-color-scheme: dark) { … }", "light")
    '@media (max-width: 0px) { … }'
    """
    return _ASKS_FOR_SCHEME.sub(
        lambda asked: _ALWAYS if asked.group(1) == scheme else _NEVER, html
    )


def _with_pictures(html: str, message: EmailMessage) -> str:
    """Return HTML with the pictures that the mail brings along in their places."""
    for part in message.walk():
        name = (part["Content-ID"] or "").strip("<>")
        if name and part.get_content_maintype() == "image":
            content = b64encode(bytes(part.get_payload(decode=True) or b"")).decode()
            data = f"data:{part.get_content_type()};base64,{content}"
            html = html.replace(f'"cid:{name}"', f'"{data}"')
    return html


def _parsed(source: bytes) -> EmailMessage:
    message = message_from_bytes(source, policy=default)
    if not isinstance(message, EmailMessage):
        raise TypeError("not a message")
    return message


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        # Its charset is none, or not the one it is in.
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")


def _one_of(asked: str | None, known: tuple[str, ...]) -> str:
    return asked if asked in known else known[0]


def _whole_number(text: str | None) -> int | None:
    is_number = text and text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if text and is_number else None


def _fault_request(form: dict[str, str]) -> dict[str, Any]:
    """Return what the form asks for; "clear" lifts every fault."""
    if "clear" in form:
        return {"sends": [], "events": {}, "paused": False}
    asked: dict[str, Any] = {"paused": "paused" in form}
    asked["sends"] = []
    if form.get("kind"):
        asked["sends"] = [{"kind": form["kind"], "times": form.get("times") or 1}]
    names = ("lost", "duplicated", "delay_seconds", "disorder_seconds")
    asked["events"] = {name: form[name] for name in names if form.get(name)}
    for name in ("max_per_second", "max_per_day"):
        if form.get(name):
            asked[name] = form[name]
    return asked
