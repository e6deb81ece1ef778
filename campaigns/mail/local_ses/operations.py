"""The operations of SES v2 that are spoken here: path, method, and what each does.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Operations.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import unquote

import orjson

from campaigns.mail.local_ses import refusals, stationery
from campaigns.mail.local_ses.events import METRICS, TOPIC_ARN, amazon_time
from campaigns.mail.local_ses.refusals import RefusedError
from campaigns.mail.local_ses.ses import (
    CONFIGURATION_SETS,
    IDENTITIES,
    SUPPRESSED,
    TEMPLATES,
    LocalSes,
)

_PER_PAGE: Final = 100
_MOST_QUERIES: Final = 10
_PUBLISHED: Final = (
    "SEND",
    "REJECT",
    "BOUNCE",
    "COMPLAINT",
    "DELIVERY",
    "OPEN",
    "CLICK",
    "RENDERING_FAILURE",
)


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP request, its header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return the body's object."""
        try:
            found = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError as error:
            raise RefusedError(
                "SerializationException", "The body is not valid JSON."
            ) from error
        if not isinstance(found, dict):
            raise RefusedError("SerializationException", "The body is not an object.")
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to one operation: the names in its path, and the time it comes at."""

    ses: LocalSes
    call: Call
    names: list[str]
    now: datetime

    @property
    def name(self) -> str:
        """The name in the path."""
        return self.names[0]

    def must_have(self, key: str) -> Any:  # noqa: ANN401 — JSON
        """Return a value of the body."""
        value = self.call.json().get(key)
        if value is None:
            raise refusals.bad_request(
                f"1 validation error detected: {key} is missing."
            )
        if key != "TemplateContent" and not isinstance(value, str):
            raise refusals.bad_request(
                f"1 validation error detected: {key} is no text."
            )
        return value


Operation = Callable[[Asked], dict[str, Any]]


def _send_email(asked: Asked) -> dict[str, Any]:
    return asked.ses.send_email(asked.call.json(), asked.now)


def _send_bulk(asked: Asked) -> dict[str, Any]:
    return asked.ses.send_bulk(asked.call.json(), asked.now)


def _get_account(asked: Asked) -> dict[str, Any]:
    return asked.ses.account(asked.now)


def _put_sending(asked: Asked) -> dict[str, Any]:
    return asked.ses.enable(is_enabled=bool(asked.call.json().get("SendingEnabled")))


def _create_identity(asked: Asked) -> dict[str, Any]:
    name = asked.must_have("EmailIdentity")
    if name in asked.ses.identities():
        raise refusals.exists_already(f"Email identity {name}")
    asked.ses.outbox.put(IDENTITIES, name, {})
    return _identity(name)


def _identity(name: str) -> dict[str, Any]:
    return {
        "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
        "VerifiedForSendingStatus": True,
    }


def _get_identity(asked: Asked) -> dict[str, Any]:
    if asked.name not in asked.ses.identities():
        raise refusals.not_found(f"Email identity {asked.name}")
    return {**_identity(asked.name), "VerificationStatus": "SUCCESS"}


def _list_identities(asked: Asked) -> dict[str, Any]:
    return {
        "EmailIdentities": [
            {
                "IdentityName": name,
                "IdentityType": _identity(name)["IdentityType"],
                "SendingEnabled": True,
                "VerificationStatus": "SUCCESS",
            }
            for name in asked.ses.identities()
        ]
    }


def _create_set(asked: Asked) -> dict[str, Any]:
    name = asked.must_have("ConfigurationSetName")
    if name in _sets(asked.ses):
        raise refusals.exists_already(f"Configuration set <{name}>")
    asked.ses.outbox.put(CONFIGURATION_SETS, name, {})
    return {}


def _get_set(asked: Asked) -> dict[str, Any]:
    return asked.ses.configuration_set(asked.name)


def _put_set_sending(asked: Asked) -> dict[str, Any]:
    kept = asked.ses.configuration_set(asked.name)
    options = {"SendingEnabled": bool(asked.call.json().get("SendingEnabled"))}
    asked.ses.outbox.put(
        CONFIGURATION_SETS, asked.name, {**kept, "SendingOptions": options}
    )
    return {}


def _sets(ses: LocalSes) -> list[str]:
    kept = ses.outbox.things(CONFIGURATION_SETS)
    return sorted({*ses.limits.configuration_sets, *kept})


def _list_sets(asked: Asked) -> dict[str, Any]:
    return {"ConfigurationSets": _sets(asked.ses)}


def _destinations(asked: Asked) -> dict[str, Any]:
    asked.ses.configuration_set(asked.name)
    destination = {
        "Name": "winback-events",
        "Enabled": True,
        "MatchingEventTypes": list(_PUBLISHED),
        "SnsDestination": {"TopicArn": TOPIC_ARN},
    }
    return {"EventDestinations": [destination]}


def _create_template(asked: Asked) -> dict[str, Any]:
    name, content = asked.must_have("TemplateName"), asked.must_have("TemplateContent")
    if asked.ses.outbox.thing(TEMPLATES, name):
        raise refusals.exists_already(f"Template {name}")
    stationery.check(content)
    made = amazon_time(asked.now)
    asked.ses.outbox.put(TEMPLATES, name, {"TemplateContent": content, "made": made})
    return {}


def _put_template(asked: Asked) -> dict[str, Any]:
    asked.ses.template(asked.name)
    content = asked.must_have("TemplateContent")
    stationery.check(content)
    made = amazon_time(asked.now)
    value = {"TemplateContent": content, "made": made}
    asked.ses.outbox.put(TEMPLATES, asked.name, value)
    return {}


def _get_template(asked: Asked) -> dict[str, Any]:
    content = asked.ses.template(asked.name)
    return {"TemplateName": asked.name, "TemplateContent": content}


def _list_templates(asked: Asked) -> dict[str, Any]:
    kept = asked.ses.outbox.things(TEMPLATES)
    return {
        "TemplatesMetadata": [
            {"TemplateName": name, "CreatedTimestamp": _epoch(value["made"])}
            for name, value in kept.items()
        ]
    }


def _render_template(asked: Asked) -> dict[str, Any]:
    content = asked.ses.template(asked.name)
    values = stationery.data_of(asked.must_have("TemplateData"))
    try:
        parts = stationery.rendered(content, values)
    except stationery.MissingValueError as error:
        raise refusals.bad_request(str(error)) from error
    text = "\r\n".join(
        [f"Subject: {parts['subject'] or ''}", "", parts["html"] or parts["text"] or ""]
    )
    return {"RenderedTemplate": text}


def _suppress(asked: Asked) -> dict[str, Any]:
    address = str(asked.must_have("EmailAddress")).casefold()
    value = {"Reason": asked.must_have("Reason"), "at": amazon_time(asked.now)}
    asked.ses.outbox.put(SUPPRESSED, address, value)
    return {}


def _get_suppressed(asked: Asked) -> dict[str, Any]:
    value = asked.ses.outbox.thing(SUPPRESSED, asked.name.casefold())
    if value is None:
        raise refusals.not_found(f"Email address {asked.name} on the suppression list")
    return {"SuppressedDestination": _suppressed(asked.name.casefold(), value)}


def _suppressed(address: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EmailAddress": address,
        "Reason": value["Reason"],
        "LastUpdateTime": _epoch(value["at"]),
    }


def _list_suppressed(asked: Asked) -> dict[str, Any]:
    query = asked.call.query
    reason, start, end = (query.get(x) for x in ("Reason", "StartDate", "EndDate"))
    found = [
        _suppressed(address, value)
        for address, value in asked.ses.outbox.things(SUPPRESSED).items()
        if (reason is None or value["Reason"] == reason)
        and (start is None or _epoch(value["at"]) >= _epoch(start))
        and (end is None or _epoch(value["at"]) < _epoch(end))
    ]
    # The token is where the next page begins.
    begin = _number(query.get("NextToken", "0"))
    stop = begin + _number(query.get("PageSize", str(_PER_PAGE)))
    next_page = {"NextToken": str(stop)} if stop < len(found) else {}
    return {"SuppressedDestinationSummaries": found[begin:stop], **next_page}


def _number(text: str) -> int:
    if not text.isdecimal():
        raise refusals.bad_request("PageSize or NextToken is not valid.")
    return int(text)


def _metrics(asked: Asked) -> dict[str, Any]:
    queries = asked.call.json().get("Queries")
    if not isinstance(queries, list) or not 1 <= len(queries) <= _MOST_QUERIES:
        raise refusals.bad_request("Queries must hold 1 to 10 queries.")
    return {"Results": [_metric(asked.ses, each) for each in queries], "Errors": []}


def _metric(ses: LocalSes, query: Mapping[str, Any]) -> dict[str, Any]:
    metric, dimensions = query.get("Metric"), query.get("Dimensions", {})
    if query.get("Namespace") != "VDM" or metric not in METRICS:
        raise refusals.bad_request("Namespace or Metric is not spoken here.")
    try:
        start, end = (
            datetime.fromtimestamp(query[name], UTC).date()
            for name in ("StartDate", "EndDate")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise refusals.bad_request("StartDate or EndDate is not valid.") from error
    name = dimensions.get("CONFIGURATION_SET", "")
    found = ses.outbox.totals(name, metric, start=start, end=end)
    days = [datetime.combine(day, time(), UTC).timestamp() for day in found]
    return {"Id": query["Id"], "Timestamps": days, "Values": [*found.values()]}


def _epoch(amazon: str) -> float:
    """Return a time as SES's JSON has it: seconds since 1970."""
    try:
        return datetime.fromisoformat(amazon).timestamp()
    except ValueError as error:
        raise refusals.bad_request("A date is not valid.") from error


def _forget(kind: str, what: str) -> Operation:
    def operate(asked: Asked) -> dict[str, Any]:
        if not asked.ses.outbox.drop(kind, asked.name.casefold()) and (
            not asked.ses.outbox.drop(kind, asked.name)
        ):
            raise refusals.not_found(f"{what} {asked.name}")
        return {}

    return operate


_V2: Final = "/v2/email"
_TABLE: Final[tuple[tuple[str, str, Operation], ...]] = (
    ("POST", "/outbound-emails", _send_email),
    ("POST", "/outbound-bulk-emails", _send_bulk),
    ("GET", "/account", _get_account),
    ("PUT", "/account/sending", _put_sending),
    ("POST", "/identities", _create_identity),
    ("GET", "/identities", _list_identities),
    # Clients of either kind of list are about: the older ask by GET.
    ("POST", "/list-identities", _list_identities),
    ("GET", "/identities/{}", _get_identity),
    ("DELETE", "/identities/{}", _forget(IDENTITIES, "Email identity")),
    ("POST", "/configuration-sets", _create_set),
    ("GET", "/configuration-sets", _list_sets),
    ("POST", "/list-configuration-sets", _list_sets),
    ("GET", "/configuration-sets/{}", _get_set),
    ("PUT", "/configuration-sets/{}/sending", _put_set_sending),
    ("GET", "/configuration-sets/{}/event-destinations", _destinations),
    (
        "DELETE",
        "/configuration-sets/{}",
        _forget(CONFIGURATION_SETS, "Configuration set"),
    ),
    ("POST", "/templates", _create_template),
    ("GET", "/templates", _list_templates),
    ("GET", "/templates/{}", _get_template),
    ("PUT", "/templates/{}", _put_template),
    ("POST", "/templates/{}/render", _render_template),
    ("DELETE", "/templates/{}", _forget(TEMPLATES, "Template")),
    ("POST", "/metrics/batch", _metrics),
    ("PUT", "/suppression/addresses", _suppress),
    ("GET", "/suppression/addresses", _list_suppressed),
    ("GET", "/suppression/addresses/{}", _get_suppressed),
    ("DELETE", "/suppression/addresses/{}", _forget(SUPPRESSED, "Email address")),
)
_ROUTES: Final = tuple(
    (method, re.compile(_V2 + path.replace("{}", "([^/]+)")), operate)
    for method, path, operate in _TABLE
)


def operate(ses: LocalSes, call: Call, now: datetime) -> dict[str, Any]:
    """Carry out the operation that a request asks for, and return its answer.

    Raises:
        RefusedError: It is refused, or not spoken here.
    """
    for method, pattern, operation in _ROUTES:
        match = pattern.fullmatch(call.path)
        if match and method == call.method:
            names = [unquote(name) for name in match.groups()]
            return operation(Asked(ses, call, names, now))
    what = f"{call.method} {call.path}"
    raise RefusedError("UnknownOperationException", f"{what} is not spoken here.", 404)


def is_sending(call: Call) -> bool:
    """Say whether a request asks to send mails."""
    return call.method == "POST" and call.path.startswith(f"{_V2}/outbound-")
