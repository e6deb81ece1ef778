"""The protocols: the operations of SES v2 and SQS that Winback uses, over HTTP.

A request may bear the header `x-winback-now`: its time is then used for rate, quota and
events in place of ours. So a simulation and this server share one clock, and nothing of
it can go stale.
"""

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from campaigns.clock import Clock
from campaigns.mail.local_ses.events import TakenMail, behaviour_of, events_of
from campaigns.mail.local_ses.outbox import Outbox

NOW_HEADER: Final = "x-winback-now"
QUEUE_NAME: Final = "winback-events"
_HIDDEN_FOR: Final = 30
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What this SES allows.

    Attributes:
        max_per_second: MaxSendRate.
        max_per_day: Max24HourSend.
        configuration_sets: Names that exist; any other is an error.
    """

    max_per_second: float = 50
    max_per_day: float = 50_000
    configuration_sets: tuple[str, ...] = ("winback",)


class RefusedError(Exception):
    """An answer in the form of an AWS error."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(slots=True)
class LocalSes:
    """SES and SQS over one outbox."""

    outbox: Outbox
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    behaviours: dict[str, str] = field(default_factory=dict)
    _last_second: deque[datetime] = field(default_factory=deque)

    def send_email(self, request: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Take one mail, or refuse it as SES would."""
        self._check_limits(now)
        name = request.get("ConfigurationSetName", "")
        if name not in self.limits.configuration_sets:
            raise RefusedError(
                "NotFoundException", f"Configuration set <{name}> does not exist.", 404
            )
        recipients = request.get("Destination", {}).get("ToAddresses", [])
        if len(recipients) != 1:
            raise RefusedError("BadRequestException", "Missing destination.", 400)
        message_id = self.outbox.next_message_id()
        message = _to_message(request, recipients[0], message_id, now)
        tags = {tag["Name"]: tag["Value"] for tag in request.get("EmailTags", [])}
        mail = TakenMail(
            message_id,
            now,
            request["FromEmailAddress"],
            recipients[0],
            str(message["Subject"]),
            {key: str(value) for key, value in message.items()},
            tags,
            name,
        )
        behaviour = behaviour_of(recipients[0], self.behaviours)
        self.outbox.keep(
            message,
            message_id=message_id,
            at=now,
            tags=tags,
            events=events_of(mail, behaviour),
        )
        self._last_second.append(now)
        return {"MessageId": message_id}

    def _check_limits(self, now: datetime) -> None:
        while self._last_second and self._last_second[0] <= now - _SECOND:
            self._last_second.popleft()
        if len(self._last_second) >= self.limits.max_per_second:
            raise RefusedError(
                "TooManyRequestsException", "Maximum sending rate exceeded.", 429
            )
        if self.outbox.sent_last_day(now) >= self.limits.max_per_day:
            raise RefusedError(
                "TooManyRequestsException", "Daily message quota exceeded.", 429
            )

    def account(self, now: datetime) -> dict[str, Any]:
        """Return quota and state, as GetAccount does."""
        return {
            "ProductionAccessEnabled": True,
            "SendingEnabled": True,
            "EnforcementStatus": "HEALTHY",
            "SendQuota": {
                "Max24HourSend": float(self.limits.max_per_day),
                "MaxSendRate": float(self.limits.max_per_second),
                "SentLast24Hours": float(self.outbox.sent_last_day(now)),
            },
        }

    def configuration_set(self, name: str) -> dict[str, Any]:
        """Return a configuration set, as GetConfigurationSet does."""
        if name not in self.limits.configuration_sets:
            raise RefusedError(
                "NotFoundException", f"Configuration set <{name}> does not exist.", 404
            )
        return {
            "ConfigurationSetName": name,
            "SendingOptions": {"SendingEnabled": True},
        }

    def queue(
        self, operation: str, request: dict[str, Any], now: datetime, base_url: str
    ) -> dict[str, Any]:
        """Answer one operation of SQS."""
        if operation == "GetQueueUrl":
            return {"QueueUrl": f"{base_url}/queue/{QUEUE_NAME}"}
        if operation == "GetQueueAttributes":
            waiting = str(self.outbox.queued(now=now))
            return {"Attributes": {"ApproximateNumberOfMessages": waiting}}
        if operation == "ReceiveMessage":
            return self._receive(request, now)
        if operation == "DeleteMessage":
            self.outbox.delete([request["ReceiptHandle"]])
            return {}
        if operation == "DeleteMessageBatch":
            entries = request["Entries"]
            self.outbox.delete(entry["ReceiptHandle"] for entry in entries)
            return {"Successful": [{"Id": entry["Id"]} for entry in entries]}
        raise RefusedError(
            "UnsupportedOperation", f"{operation} is not spoken here.", 400
        )

    def _receive(self, request: dict[str, Any], now: datetime) -> dict[str, Any]:
        hidden_for = timedelta(seconds=request.get("VisibilityTimeout", _HIDDEN_FOR))
        events = self.outbox.receive(
            now=now, limit=request.get("MaxNumberOfMessages", 1), hidden_for=hidden_for
        )
        if not events:
            return {}
        return {
            "Messages": [
                {
                    "MessageId": event.receipt,
                    "ReceiptHandle": event.receipt,
                    "MD5OfBody": event.body_md5,
                    "Body": event.body,
                    "Attributes": {"ApproximateReceiveCount": str(event.received)},
                }
                for event in events
            ]
        }


def _to_message(
    request: dict[str, Any], recipient: str, message_id: str, now: datetime
) -> EmailMessage:
    """Return the mail that SES would build from a simple content."""
    content = request.get("Content", {}).get("Simple")
    if content is None:
        raise RefusedError("BadRequestException", "Only simple content is taken.", 400)
    message = EmailMessage()
    try:
        message["From"] = request["FromEmailAddress"]
        _check_sender(message)
        message["To"] = recipient
        if reply_to := request.get("ReplyToAddresses"):
            message["Reply-To"] = ", ".join(reply_to)
        message["Subject"] = content["Subject"]["Data"]
        message["Date"] = now
        # SES replaces these two, whatever the sender wrote.
        message["Message-ID"] = f"<{message_id}@local.ses>"
        for header in content.get("Headers", []):
            message[header["Name"]] = header["Value"]
        message.set_content(content["Body"]["Text"]["Data"])
        if html := content["Body"].get("Html"):
            message.add_alternative(html["Data"], subtype="html")
            # Not a random one: the same mails, the same bytes.
            message.set_boundary(f"=_{message_id}")
    except (KeyError, ValueError) as error:
        raise RefusedError(
            "BadRequestException", f"Invalid mail: {error}", 400
        ) from error
    return message


def _check_sender(message: EmailMessage) -> None:
    sender = message["From"]
    if sender.defects or len(sender.addresses) != 1:
        raise ValueError("the From header is malformed")


def make_app(ses: LocalSes) -> Starlette:
    """Return the HTTP application that serves `ses`."""

    async def send(request: Request) -> Response:
        body = orjson.loads(await request.body())
        return _answer(lambda: ses.send_email(body, _now(request, ses.clock)))

    async def account(request: Request) -> Response:
        return _answer(lambda: ses.account(_now(request, ses.clock)))

    async def configuration_set(request: Request) -> Response:
        return _answer(lambda: ses.configuration_set(request.path_params["name"]))

    async def queue(request: Request) -> Response:
        operation = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
        body = orjson.loads(await request.body() or b"{}")
        base_url = f"http://{request.headers['host']}"
        now = _now(request, ses.clock)
        return _answer(
            lambda: ses.queue(operation, body, now, base_url),
            media_type="application/x-amz-json-1.0",
        )

    async def local(_request: Request) -> Response:
        moment = ses.outbox.next_event_at()
        return _answer(
            lambda: {
                "local_ses": True,
                "next_event_at": moment.isoformat() if moment else None,
            }
        )

    async def mails(request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        return _answer(lambda: {"mails": ses.outbox.mails_after(after)})

    return Starlette(
        routes=[
            Route("/v2/email/outbound-emails", send, methods=["POST"]),
            Route("/v2/email/account", account, methods=["GET"]),
            Route(
                "/v2/email/configuration-sets/{name}",
                configuration_set,
                methods=["GET"],
            ),
            Route("/_local", local, methods=["GET"]),
            Route("/_local/mails", mails, methods=["GET"]),
            Route("/", queue, methods=["POST"]),
            Route("/queue/{name}", queue, methods=["POST"]),
        ]
    )


def _now(request: Request, clock: Clock) -> datetime:
    told = request.headers.get(NOW_HEADER)
    return datetime.fromisoformat(told).astimezone(UTC) if told else clock()


def _answer(
    operation: Callable[[], dict[str, Any]], media_type: str = "application/json"
) -> Response:
    """Run one operation, and put its answer or its refusal as AWS would."""
    request_id = base64.b32encode(b"local-ses-0").decode()
    headers = {"x-amzn-requestid": request_id}
    try:
        body = orjson.dumps(operation())
        return Response(body, media_type=media_type, headers=headers)
    except RefusedError as refusal:
        headers["x-amzn-errortype"] = refusal.code
        body = orjson.dumps({"__type": refusal.code, "message": refusal.message})
        return Response(
            body, status_code=refusal.status, media_type=media_type, headers=headers
        )
