"""What SES would say of a mail, in its own words.

The bodies follow Amazon's published examples of event publishing, wrapped as SNS wraps
them. How a mailbox behaves is told by its address: one of Amazon's mailbox simulator,
or one listed in a recipients file.
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from campaigns.errors import InputError

TOPIC_ARN: Final = "arn:aws:sns:eu-west-1:000000000000:winback-events"
_BROWSER: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)
_SCANNER: Final = "Mozilla/5.0"

_SIMULATOR_DOMAIN: Final = "simulator.amazonses.com"
_SIMULATOR: Final = {
    "success": "receive",
    "bounce": "hard_bounce",
    "ooto": "receive",
    "complaint": "complaint",
    "suppressionlist": "on_suppression_list",
}
BEHAVIOURS: Final = frozenset(
    {
        "receive",
        "hard_bounce",
        "soft_bounce",
        "complaint",
        "on_suppression_list",
        "scanner",
        "reader",
        "clicker",
    }
)


class TakenMail(NamedTuple):
    """A mail as far as its events need to know it."""

    message_id: str
    at: datetime
    source: str
    recipients: tuple[str, ...]
    subject: str
    headers: Mapping[str, str]
    tags: Mapping[str, str]
    configuration_set: str
    rendering_failure: str | None = None


def read_recipients(path: Path | None) -> dict[str, str]:
    """Return how mailboxes behave, from a CSV of address and behaviour.

    Raises:
        InputError: A behaviour is not known.
    """
    if path is None:
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=1):
        if row.get("behaviour") not in BEHAVIOURS or not row.get("address"):
            raise InputError(
                f"{path}, row {number}: needs address and behaviour, one of "
                f"{', '.join(sorted(BEHAVIOURS))}"
            )
    return {row["address"].casefold(): row["behaviour"] for row in rows}


def behaviour_of(address: str, known: Mapping[str, str]) -> str:
    """Return how the mailbox at `address` behaves."""
    local, _, domain = address.casefold().rpartition("@")
    if domain == _SIMULATOR_DOMAIN:
        return _SIMULATOR.get(local.split("+")[0], "receive")
    return known.get(address.casefold(), "receive")


def events_of(
    mail: TakenMail, behaviours: Mapping[str, str]
) -> Iterator[tuple[datetime, str]]:
    """Yield each event of a mail: when it arrives, and the body in the queue."""
    for number, (delay, kind, detail) in enumerate(_stories(mail, behaviours)):
        at = mail.at + delay
        event = {
            "eventType": kind,
            "mail": _mail_object(mail),
            _DETAIL.get(kind, kind.lower()): _with_time(detail, at),
        }
        yield at, _envelope(event, f"{mail.message_id}/{number}", at)


def counted(
    mail: TakenMail, behaviours: Mapping[str, str]
) -> Iterator[tuple[date, str, str]]:
    """Yield what a mail adds to SES's totals: day (UTC), configuration set and metric.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BatchGetMetricDataQuery.html
    """
    is_simulated = any(
        each.casefold().endswith(f"@{_SIMULATOR_DOMAIN}") for each in mail.recipients
    )
    if is_simulated or len(mail.recipients) > 1 or not mail.configuration_set:
        return
    for delay, kind, detail in _stories(mail, behaviours):
        if detail.get("bounceSubType") == "OnAccountSuppressionList":
            continue
        metric = _METRICS.get((kind, detail.get("bounceType")))
        if metric is not None:
            day = (mail.at + delay).astimezone(UTC).date()
            yield day, mail.configuration_set, metric


_METRICS: Final = {
    ("Send", None): "SEND",
    ("Delivery", None): "DELIVERY",
    ("Bounce", "Permanent"): "PERMANENT_BOUNCE",
    ("Bounce", "Transient"): "TRANSIENT_BOUNCE",
    ("Complaint", None): "COMPLAINT",
}
METRICS: Final = frozenset(_METRICS.values())
_DETAIL: Final = {"Rendering Failure": "failure"}
_Story = Iterator[tuple[timedelta, str, dict[str, Any]]]


def _stories(mail: TakenMail, behaviours: Mapping[str, str]) -> _Story:
    if mail.rendering_failure is not None:
        failure = {"errorMessage": mail.rendering_failure, "templateName": "template"}
        yield timedelta(), "Rendering Failure", failure
        return
    yield timedelta(), "Send", {}
    for recipient in mail.recipients:
        yield from _story(mail, recipient, behaviour_of(recipient, behaviours))


def _story(mail: TakenMail, recipient: str, behaviour: str) -> _Story:
    if behaviour in {"hard_bounce", "soft_bounce", "on_suppression_list"}:
        yield timedelta(seconds=3), "Bounce", _bounce(mail, recipient, behaviour)
        return
    delivered = timedelta(seconds=2)
    yield delivered, "Delivery", _delivery(recipient)
    if behaviour == "complaint":
        yield timedelta(hours=2), "Complaint", _complaint(mail, recipient)
    if behaviour == "scanner":
        yield delivered + timedelta(seconds=1), "Open", _open(_SCANNER)
        yield delivered + timedelta(seconds=1), "Click", _click(_SCANNER)
    if behaviour in {"reader", "clicker"}:
        later = timedelta(minutes=20 + _spread(mail, 36 * 60))
        yield later, "Open", _open(_BROWSER)
        if behaviour == "clicker":
            yield later + timedelta(minutes=1), "Click", _click(_BROWSER)


def _spread(mail: TakenMail, minutes: int) -> int:
    """Return a number of minutes that only the mail's id decides."""
    return sha256(mail.message_id.encode()).digest()[0] * minutes // 256


def _mail_object(mail: TakenMail) -> dict[str, Any]:
    named = [{"name": name, "value": value} for name, value in mail.headers.items()]
    return {
        "timestamp": amazon_time(mail.at),
        "source": mail.source,
        "sendingAccountId": "000000000000",
        "messageId": mail.message_id,
        "destination": list(mail.recipients),
        "headersTruncated": False,
        "headers": named,
        "commonHeaders": {
            "from": [mail.source],
            "to": list(mail.recipients),
            "messageId": mail.message_id,
            "subject": mail.subject,
        },
        "tags": {name: [value] for name, value in mail.tags.items()}
        | {"ses:configuration-set": [mail.configuration_set]},
    }


def _bounce(mail: TakenMail, recipient: str, behaviour: str) -> dict[str, Any]:
    kind, detail, status = {
        "hard_bounce": ("Permanent", "General", "5.1.1"),
        "soft_bounce": ("Transient", "MailboxFull", "4.2.2"),
        "on_suppression_list": ("Permanent", "OnAccountSuppressionList", "5.1.1"),
    }[behaviour]
    return {
        "bounceType": kind,
        "bounceSubType": detail,
        "bouncedRecipients": [
            {"emailAddress": recipient, "action": "failed", "status": status}
        ],
        "feedbackId": mail.message_id,
        "reportingMTA": "dsn; mta.local",
    }


def _delivery(recipient: str) -> dict[str, Any]:
    return {
        "processingTimeMillis": 2000,
        "recipients": [recipient],
        "smtpResponse": "250 2.0.0 OK",
        "reportingMTA": "mta.local",
    }


def _complaint(mail: TakenMail, recipient: str) -> dict[str, Any]:
    return {
        "complainedRecipients": [{"emailAddress": recipient}],
        "complaintFeedbackType": "abuse",
        "feedbackId": mail.message_id,
    }


def _open(agent: str) -> dict[str, Any]:
    return {"ipAddress": "192.0.2.1", "userAgent": agent}


def _click(agent: str) -> dict[str, Any]:
    return {**_open(agent), "link": "https://example.com/"}


def _with_time(detail: dict[str, Any], at: datetime) -> dict[str, Any]:
    # A Send object is empty in SES's own events.
    return {**detail, "timestamp": amazon_time(at)} if detail else detail


def _envelope(event: dict[str, Any], name: str, at: datetime) -> str:
    digest = sha256(name.encode()).digest()
    return orjson.dumps(
        {
            "Type": "Notification",
            "MessageId": str(UUID(bytes=digest[:16])),
            "TopicArn": TOPIC_ARN,
            "Subject": "Amazon SES Email Event Notification",
            "Message": orjson.dumps(event).decode(),
            "Timestamp": amazon_time(at),
        }
    ).decode()


def amazon_time(moment: datetime) -> str:
    """Return a UTC time as Amazon writes it: 2026-11-02T09:00:00.000Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
