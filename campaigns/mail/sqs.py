"""The queue that SES's events arrive in, and their translation at the door.

SES publishes to an SNS topic, the topic to the queue: a body is an SNS envelope around
SES's event, or, where the subscription delivers raw messages, the event itself. A body
that is not understood is kept as it is and never stops the others.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from campaigns.domain.values import UNREAD, ProviderEvent, ReceivedEvent
from campaigns.domain.words import Bounce, EventKind
from campaigns.errors import RetryLaterError

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

_MOST: Final = 10  # what SQS gives at once
_MACHINE_SECONDS: Final = 10
_WAITING: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
_ON_SES_LIST: Final = frozenset(
    {"OnAccountSuppressionList", "Suppressed", "UnsubscribedRecipient"}
)
"""SES did not try: somebody said no to it, or an address bounced before."""
_NO_SUCH_DOMAIN: Final = "5.4.4"  # RFC 3463: unable to route; SES calls it transient
_RAW: Final = "raw-"  # an envelope of SNS's bears another kind of number
_NO_SPAM: Final = "not-spam"  # RFC 5965 and its registry of feedback types
_MACHINE_AGENT: Final = "Mozilla/5.0"  # exactly so: what mail privacy proxies send


class EventQueue:
    """Receives events; each stays in the queue until it is deleted.

    Args:
        client: A boto3 `sqs` client.
        queue_url: The queue's address.
        hidden_for_seconds: How long a received event is kept from other receivers.
    """

    def __init__(
        self, client: "SQSClient", *, queue_url: str, hidden_for_seconds: int = 120
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._hidden_for_seconds = hidden_for_seconds

    def receive(self, *, wait_seconds: int) -> list[ReceivedEvent]:
        """Return up to ten events, waiting for the first one.

        Where it does not wait, SQS asks some of its servers only, and "none" says
        little (SQS Developer Guide, "short and long polling").

        Raises:
            RetryLaterError: The queue did not answer.
        """
        try:
            response = self._client.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=_MOST,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=self._hidden_for_seconds,
            )
        except (BotoCoreError, ClientError) as error:
            kind = type(error).__name__
            raise RetryLaterError(f"the event queue did not answer: {kind}") from error
        return [
            translate(
                message["Body"],
                receipt=message["ReceiptHandle"],
                queue_id=message["MessageId"],
            )
            for message in response.get("Messages", [])
        ]

    def waiting(self) -> int:
        """Return how many events are in the queue, also those that others received.

        Raises:
            RetryLaterError: The queue did not answer.
        """
        try:
            response = self._client.get_queue_attributes(
                QueueUrl=self._queue_url, AttributeNames=list(_WAITING)
            )
        except (BotoCoreError, ClientError) as error:
            kind = type(error).__name__
            raise RetryLaterError(f"the event queue did not answer: {kind}") from error
        attributes = response.get("Attributes", {})
        return sum(int(attributes.get(name, 0)) for name in _WAITING)

    def delete(self, events: list[ReceivedEvent]) -> None:
        """Remove events that are safely kept.

        Raises:
            RetryLaterError: The queue did not answer; the events will come again.
        """
        entries: Any = [
            {"Id": str(number), "ReceiptHandle": event.receipt}
            for number, event in enumerate(events)
        ]
        try:
            self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            kind = type(error).__name__
            raise RetryLaterError(f"the event queue did not answer: {kind}") from error


def translate(body: str, *, receipt: str, queue_id: str = "") -> ReceivedEvent:
    """Return the event in a message; its `event` is None if not understood.

    Args:
        body: An SNS envelope, or an event as it is.
        receipt: What to delete the message by.
        queue_id: The queue's own number of it, for an event without an envelope.
    """
    try:
        content = orjson.loads(body)
        # Of an envelope only this is signed: what stands beside it is anybody's word.
        if "Message" in content:
            event = orjson.loads(content["Message"])
            return ReceivedEvent(receipt, content["MessageId"], body, _event(event))
        return ReceivedEvent(receipt, _RAW + queue_id, body, _event(content))
    except (LookupError, AttributeError, TypeError, ValueError):
        return ReceivedEvent(receipt, UNREAD + hash_of(body), body, None)


def hash_of(body: str) -> str:
    """Return a short hash of a body, to know it again by."""
    from hashlib import blake2b

    return blake2b(body.encode(), digest_size=12).hexdigest()


def _event(event: dict[str, Any]) -> ProviderEvent:
    mail = event["mail"]
    # Feedback notifications say notificationType where events say eventType.
    kind = event.get("eventType") or event["notificationType"]
    known = _KINDS.get(kind)
    detail = event.get(_DETAIL.get(kind, kind.lower())) or {}
    mail_at = _moment(mail["timestamp"])
    at = _moment(detail.get("timestamp") or mail["timestamp"])
    return ProviderEvent(
        kind=known,
        ses_message_id=mail["messageId"],
        tags={name: values[0] for name, values in mail.get("tags", {}).items()},
        recipients=_recipients(kind, detail, mail),
        at=at,
        mail_at=mail_at,
        bounce=_bounce(known, detail),
        is_approval=detail.get("complaintFeedbackType") == _NO_SPAM,
        is_machine=_is_machine(known, detail, seconds=(at - mail_at).total_seconds()),
        link=detail.get("link"),
    )


def _bounce(kind: EventKind | None, detail: dict[str, Any]) -> Bounce | None:
    """Return how a mail came back; also one that SES calls a complaint, unsent."""
    if kind not in {EventKind.BOUNCE, EventKind.COMPLAINT}:
        return None
    if _ON_SES_LIST & {detail.get("bounceSubType"), detail.get("complaintSubType")}:
        return Bounce.ON_SES_LIST
    if kind is EventKind.COMPLAINT:
        return None
    codes = {each.get("status") for each in detail.get("bouncedRecipients", ())}
    is_for_good = detail.get("bounceType") == "Permanent" or _NO_SUCH_DOMAIN in codes
    return Bounce.HARD if is_for_good else Bounce.SOFT


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an event's time without a zone")
    return moment


_KINDS: Final = {str(kind): kind for kind in EventKind}
_DETAIL: Final = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}
_RECIPIENTS: Final = {
    "Bounce": "bouncedRecipients",
    "Complaint": "complainedRecipients",
}


def _recipients(
    kind: str, detail: dict[str, Any], mail: dict[str, Any]
) -> tuple[str, ...]:
    named = detail.get(_RECIPIENTS.get(kind, ""))
    if named:
        return tuple(each["emailAddress"] for each in named)
    return tuple(detail.get("recipients") or mail["destination"])


def _is_machine(
    kind: EventKind | None, detail: dict[str, Any], *, seconds: float
) -> bool:
    """Say whether an open or click looks like a scanner's or a proxy's."""
    if kind not in {EventKind.OPEN, EventKind.CLICK}:
        return False
    return detail.get("userAgent") == _MACHINE_AGENT or seconds < _MACHINE_SECONDS
