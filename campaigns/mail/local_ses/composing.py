"""The mail that SES would build from a request: simple, raw or of a template."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.errors import ObsoleteHeaderDefect
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import Any, Final

from campaigns.mail.local_ses import stationery
from campaigns.mail.local_ses.refusals import RefusedError, bad_request

_MOST_RECIPIENTS: Final = 50
_MOST_BYTES: Final = 40 * 1024 * 1024
_TAG: Final = re.compile(r"[A-Za-z0-9_.@-]{1,256}")
_HEADER: Final = re.compile(r"[!-9;-~]{1,126}")  # RFC 5322, 3.6.8
_OURS: Final = ("X-SES-CONFIGURATION-SET", "X-SES-MESSAGE-TAGS", "Bcc", "Return-Path")
FindTemplate = Callable[[str], Mapping[str, Any]]


@dataclass(slots=True)
class Composed:
    """A mail, ready to be taken.

    Attributes:
        message: Its headers and body; without Message-ID and Date.
        source: Who it is from, as written.
        recipients: Whom it goes to.
        tags: Its tags.
        configuration_set: The set it names, or "".
        missing: What its template lacked: then it is taken and never delivered.
    """

    message: EmailMessage
    source: str
    recipients: tuple[str, ...]
    tags: dict[str, str]
    configuration_set: str
    missing: str | None = None


def compose(request: Mapping[str, Any], find_template: FindTemplate) -> Composed:
    """Return the mail that a SendEmail request asks for.

    Raises:
        RefusedError: It is not a mail.
    """
    content = request.get("Content") or {}
    if not isinstance(request.get("ConfigurationSetName") or "", str):
        raise bad_request("The name of the configuration set is no text.")
    kinds = [kind for kind in ("Simple", "Raw", "Template") if content.get(kind)]
    if len(kinds) != 1:
        raise bad_request("Exactly one of Simple, Raw and Template must be given.")
    try:
        if kinds == ["Raw"]:
            return _raw(request, content["Raw"])
        return _built(request, content, find_template)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise bad_request(f"Invalid mail: {error}") from error


def address_of(source: str) -> Address:
    """Return the one address that a From header names.

    Raises:
        ValueError: It names none, or several.
    """
    message = EmailMessage()
    message["From"] = source
    header = message["From"]
    # A dot in an unquoted name (Acme Inc.) is old, and taken: RFC 5322, 4.1.
    defects = [d for d in header.defects if not isinstance(d, ObsoleteHeaderDefect)]
    if defects or len(header.addresses) != 1 or not header.addresses[0].domain:
        raise ValueError("the From header is malformed")
    address: Address = header.addresses[0]
    return address


def _built(
    request: Mapping[str, Any], content: Mapping[str, Any], find_template: FindTemplate
) -> Composed:
    source = request["FromEmailAddress"]
    address_of(source)
    destination = request.get("Destination") or {}
    message = EmailMessage()
    message["From"] = source
    for name, header in (("ToAddresses", "To"), ("CcAddresses", "Cc")):
        if destination.get(name):
            message[header] = ", ".join(destination[name])
    if reply_to := request.get("ReplyToAddresses"):
        message["Reply-To"] = ", ".join(reply_to)
    composed = Composed(
        message,
        source,
        _checked(_recipients_of(destination)),
        _tags(request.get("EmailTags") or []),
        request.get("ConfigurationSetName") or "",
    )
    if content.get("Simple"):
        _fill_simple(message, content["Simple"])
    else:
        composed.missing = _fill_template(message, content["Template"], find_template)
    return composed


def _recipients_of(destination: Mapping[str, Any]) -> list[str]:
    names = ("ToAddresses", "CcAddresses", "BccAddresses")
    return [address for name in names for address in destination.get(name) or []]


def _checked(recipients: list[str]) -> tuple[str, ...]:
    if not recipients:
        raise bad_request("Missing destination.")
    if len(recipients) > _MOST_RECIPIENTS:
        raise bad_request(f"Recipient count exceeds {_MOST_RECIPIENTS}.")
    found = tuple(address for _, address in getaddresses(recipients))
    for address in found:
        local, at, domain = address.rpartition("@")
        if not (local and at and domain):
            raise bad_request("Invalid destination address.")
    return found


def _tags(pairs: list[Mapping[str, str]]) -> dict[str, str]:
    tags = {pair["Name"]: pair["Value"] for pair in pairs}
    for name, value in tags.items():
        if not _TAG.fullmatch(name) or not _TAG.fullmatch(value):
            raise RefusedError(
                "BadRequestException",
                f"Tag <{name}> holds characters other than A-Z a-z 0-9 _ - . @.",
            )
    return tags


def _fill_simple(message: EmailMessage, content: Mapping[str, Any]) -> None:
    body = content["Body"]
    parts = {name: (body.get(key) or {}).get("Data") for name, key in _BODY.items()}
    _fill(message, content["Subject"]["Data"], **parts)
    _add_headers(message, content)
    for each in content.get("Attachments") or []:
        maintype, _, subtype = each.get("ContentType", _UNKNOWN_TYPE).partition("/")
        named = each.get("ContentId")
        message.add_attachment(
            _decoded(each["RawContent"]),
            maintype=maintype,
            subtype=subtype,
            filename=each["FileName"],
            disposition=each.get("ContentDisposition", "ATTACHMENT").lower(),
            cid=f"<{named}>" if named else None,
        )


_BODY: Final = {"text": "Text", "html": "Html"}
_UNKNOWN_TYPE: Final = "application/octet-stream"


def _fill_template(
    message: EmailMessage, template: Mapping[str, Any], find_template: FindTemplate
) -> str | None:
    """Fill the mail from a template; return what was missing, if anything was."""
    content = template.get("TemplateContent") or find_template(_name_of(template))
    stationery.check(content)
    values = stationery.data_of(template.get("TemplateData"))
    _add_headers(message, template)
    try:
        parts = stationery.rendered(content, values)
    except stationery.MissingValueError as error:
        _fill(message, "(not rendered)", text=str(error), html=None)
        return str(error)
    _fill(message, parts["subject"] or "", text=parts["text"], html=parts["html"])
    return None


def _name_of(template: Mapping[str, Any]) -> str:
    arn = template.get("TemplateArn") or ""
    name = template.get("TemplateName") or arn.rpartition("/")[2]
    if not name:
        raise bad_request("Missing template name.")
    return str(name)


def _fill(
    message: EmailMessage, subject: str, *, text: str | None, html: str | None
) -> None:
    if text is None and html is None:
        raise bad_request("The mail has no body.")
    message["Subject"] = subject
    if text is None:
        message.set_content(html, subtype="html")
        return
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")


def _add_headers(message: EmailMessage, content: Mapping[str, Any]) -> None:
    for header in content.get("Headers") or []:
        if not _HEADER.fullmatch(header["Name"]):
            raise bad_request("A header's name holds what no name may hold.")
        message[header["Name"]] = header["Value"]


def _raw(request: Mapping[str, Any], content: Mapping[str, Any]) -> Composed:
    parsed = message_from_bytes(_decoded(content["Data"]), policy=SMTP)
    if not isinstance(parsed, EmailMessage):
        raise TypeError("not a message")
    source = request.get("FromEmailAddress") or str(parsed.get("From") or "")
    if not source:
        raise bad_request("Missing final '@domain'")
    address_of(source)
    named = _recipients_of(request.get("Destination") or {})
    for header in ("To", "Cc", "Bcc") if not named else ():
        named += [str(each) for each in parsed.get_all(header, [])]
    pairs = list(request.get("EmailTags") or [])
    for each in parsed.get_all("X-SES-MESSAGE-TAGS", []):
        for pair in str(each).split(","):
            name, _, value = pair.strip().partition("=")
            pairs.append({"Name": name, "Value": value})
    composed = Composed(
        parsed,
        source,
        _checked(named),
        _tags(pairs),
        request.get("ConfigurationSetName")
        or str(parsed.get("X-SES-CONFIGURATION-SET") or ""),
    )
    for header in _OURS:
        del parsed[header]
    return composed


def _decoded(data: str | bytes) -> bytes:
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request("The data is not base64.") from error
    if len(content) > _MOST_BYTES:
        raise bad_request(f"Message length is more than {_MOST_BYTES} bytes long.")
    return content


def stamp(message: EmailMessage, *, message_id: str, at: datetime) -> None:
    """Give a mail what SES gives it, whatever the sender wrote."""
    for name in ("Date", "Message-ID"):
        del message[name]
    message["Date"] = at
    message["Message-ID"] = f"<{message_id}@local.ses>"
    for number, part in enumerate(message.walk()):
        if part.is_multipart() and not part.get_boundary():
            # Not a random one: the same mails, the same bytes.
            part.set_boundary(f"=_{message_id}" + f"-{number}" * bool(number))
