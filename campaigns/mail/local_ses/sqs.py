"""The queue that events are published to, as far as a receiver needs SQS."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.refusals import RefusedError

QUEUE_NAME: Final = "winback-events"
_HIDDEN_FOR_SECONDS: Final = 30


def answer(
    outbox: Outbox,
    operation: str,
    request: Mapping[str, Any],
    *,
    now: datetime,
    base_url: str,
) -> dict[str, Any]:
    """Answer one operation of SQS.

    Raises:
        RefusedError: It is not spoken here.
    """
    if operation == "GetQueueUrl":
        return {"QueueUrl": f"{base_url}/queue/{QUEUE_NAME}"}
    if operation == "GetQueueAttributes":
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(outbox.queued(now=now)),
                "ApproximateNumberOfMessagesNotVisible": str(outbox.in_flight(now=now)),
                "ApproximateNumberOfMessagesDelayed": "0",
            }
        }
    if operation == "ReceiveMessage":
        return _receive(outbox, request, now)
    if operation == "DeleteMessage":
        outbox.delete([request["ReceiptHandle"]])
        return {}
    if operation == "DeleteMessageBatch":
        entries = request["Entries"]
        outbox.delete(entry["ReceiptHandle"] for entry in entries)
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}
    raise RefusedError("UnsupportedOperation", f"{operation} is not spoken here.")


def _receive(
    outbox: Outbox, request: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    seconds = request.get("VisibilityTimeout", _HIDDEN_FOR_SECONDS)
    events = outbox.receive(
        now=now,
        limit=request.get("MaxNumberOfMessages", 1),
        hidden_for=timedelta(seconds=seconds),
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
