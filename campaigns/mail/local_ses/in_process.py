"""A boto3 client that reaches the local SES without a socket.

botocore's `before-send` hook may answer a request in the network's place: everything of
boto3 runs (validation, signing, parsing, errors) but the connection. For simulations of
thousands of worlds; everywhere else the local SES is spoken to over HTTP.
"""

from io import BytesIO
from typing import Any
from typing import Protocol as TypingProtocol
from urllib.parse import parse_qsl, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from campaigns.mail.local_ses.faults import SendFault
from campaigns.mail.local_ses.operations import Call
from campaigns.mail.local_ses.protocol import Answer


class Answering(TypingProtocol):
    """Whatever answers requests: a Protocol, or something before one."""

    def answer(self, call: Call) -> Answer:
        """Return the answer to a request."""


def answer_in_process(client: Any, protocol: Answering) -> None:  # noqa: ANN401 — boto3
    """Let `protocol` answer all that a boto3 client asks; nothing goes out."""
    # Last of the handlers: one that adds a header has had its turn.
    client.meta.events.register_last("before-send", _answering(protocol))


def _answering(protocol: Answering) -> Any:  # noqa: ANN401
    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401
        url = urlsplit(request.url)
        headers = {
            name.lower(): each.decode() if isinstance(each, bytes) else str(each)
            for name, each in request.headers.items()
        }
        body = request.body or b""
        call = Call(
            request.method,
            url.path or "/",
            {"host": url.netloc, **headers},
            body.encode() if isinstance(body, str) else bytes(body),
            dict(parse_qsl(url.query)),
        )
        found = protocol.answer(call)
        if found.fault is SendFault.TIME_OUT_AFTER_ACCEPT:
            raise ReadTimeoutError(endpoint_url=request.url)
        if found.fault in {SendFault.DROP, SendFault.CUT_ANSWER}:
            raise ConnectionClosedError(endpoint_url=request.url)
        answered = HTTPHeaders.from_dict(found.headers)
        return AWSResponse(request.url, found.status, answered, _Body(found.body))

    return answer


class _Body(BytesIO):
    """An answer's body, as botocore reads it."""

    def stream(self) -> Any:  # noqa: ANN401
        """Yield the body."""
        yield self.read()
