"""The wire: HTTP requests of SES v2 and SQS become operations, and back.

Nothing here knows a socket, so the same answers go over HTTP (`app`) and, inside one
process, through botocore's hook (`in_process`).

A request may bear the header `x-winback-now`: its time is then used for rate, quota and
events in place of ours. So a simulation and this server share one clock, and nothing of
it can go stale.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import orjson
import structlog

from campaigns.mail.local_ses import refusals, sqs
from campaigns.mail.local_ses.faults import BEFORE_ACCEPT, SendFault
from campaigns.mail.local_ses.operations import Call, is_sending, operate
from campaigns.mail.local_ses.refusals import RefusedError
from campaigns.mail.local_ses.ses import LocalSes

logger = structlog.get_logger(__name__)

NOW_HEADER: Final = "x-winback-now"
_OK: Final = 200
_REST_JSON: Final = "application/json"
_AWS_JSON: Final = "application/x-amz-json-1.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, and what befalls it on its way.

    Attributes:
        status: Of HTTP.
        headers: With lower-case names.
        body: All of it.
        fault: What befalls it, if anything.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    fault: SendFault | None = None


class Protocol:
    """Answers for one SES.

    Args:
        ses: Whose answers.
    """

    def __init__(self, ses: LocalSes) -> None:
        self._ses = ses
        self._numbers = count(1)

    def answer(self, call: Call) -> Answer:
        """Return the answer to a request; never raises."""
        is_queue = "x-amz-target" in call.headers
        media_type = _AWS_JSON if is_queue else _REST_JSON
        fault = None if is_queue else self._fault_of(call)
        try:
            if fault in BEFORE_ACCEPT:
                _fail(fault)
            now = self._now(call)
            found = (
                self._of_queue(call, now) if is_queue else operate(self._ses, call, now)
            )
            if fault is SendFault.ERROR_AFTER_ACCEPT:
                _fail(fault)
            status, headers = _OK, {}
        except RefusedError as refusal:
            status, headers = refusal.status, {"x-amzn-errortype": refusal.code}
            found = {"__type": refusal.code, "message": refusal.message}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # A list where the operation has an object, a name that is no text.
            logger.warning("request_not_understood", error=type(error).__name__)
            found = {"message": "The request is not of the operation's form."}
            status, headers = 400, {"x-amzn-errortype": "SerializationException"}
        except Exception:  # a request ends here, and the others go on
            logger.exception("request_failed")
            found = {"message": "An internal error occurred."}
            status, headers = 500, {"x-amzn-errortype": "InternalFailure"}
        headers |= {
            "content-type": media_type,
            "x-amzn-requestid": f"local-{next(self._numbers):012}",
        }
        return Answer(status, headers, orjson.dumps(found), fault)

    def _fault_of(self, call: Call) -> SendFault | None:
        return self._ses.faults.next_of_sending() if is_sending(call) else None

    def _now(self, call: Call) -> datetime:
        told = call.headers.get(NOW_HEADER)
        return (
            datetime.fromisoformat(told).astimezone(UTC) if told else self._ses.clock()
        )

    def _of_queue(self, call: Call, now: datetime) -> dict[str, Any]:
        operation = call.headers["x-amz-target"].removeprefix("AmazonSQS.")
        base_url = f"http://{call.headers.get('host', 'localhost')}"
        outbox = self._ses.outbox
        return sqs.answer(outbox, operation, call.json(), now=now, base_url=base_url)


def _fail(fault: SendFault | None) -> None:
    if fault is SendFault.THROTTLE:
        raise refusals.throttled()
    if fault is SendFault.UNAVAILABLE:
        raise RefusedError("ServiceUnavailable", "Service is unavailable.", 503)
    raise RefusedError("InternalFailure", "An internal error occurred.", 500)
