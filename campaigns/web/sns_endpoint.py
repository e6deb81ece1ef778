"""The address that SNS posts SES's events to: the second way in, beside the queue.

It answers 200 once an event is committed, 503 where SNS should try again, and 403 to
what is none of ours. A queue is the better way: SNS gives up after an hour.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from campaigns.errors import NotTrustedError, SendError
from campaigns.mail import sns

logger = structlog.get_logger(__name__)

_LONGEST: Final = 300_000  # bytes; SNS itself takes 256 KiB


def sns_route(
    *,
    verified: Callable[[bytes], dict[str, str]],
    take: Callable[[str], None],
    confirm: Callable[[str, str], None],
) -> Route:
    """Return the route that SNS posts to.

    Args:
        verified: Returns a message that is what it says; raises NotTrustedError or
            RetryLaterError.
        take: Keeps the event in a message; durable when it returns.
        confirm: Confirms the subscription of a topic by a token; raises a SendError.
    """

    def act(body: bytes) -> HTTPStatus:
        message = verified(body)
        if message["Type"] == sns.SUBSCRIPTION:
            confirm(message["TopicArn"], message["Token"])
            logger.info("subscription_confirmed", topic=message["TopicArn"])
        elif message["Type"] == sns.UNSUBSCRIPTION:
            # Somebody ends the events of a topic of ours: a person must know.
            logger.error("subscription_ended", topic=message["TopicArn"])
        else:
            take(body.decode())
        return HTTPStatus.OK

    async def post(request: Request) -> Response:
        if "x-amz-sns-rawdelivery" in request.headers:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # it bears no signature
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST:
                return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            status = await run_in_threadpool(act, bytes(body))
        except NotTrustedError as error:
            logger.warning("sns_refused", error=str(error))
            status = HTTPStatus.FORBIDDEN
        except SendError as error:
            logger.warning("sns_later", error=str(error))
            status = HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status_code=status)

    return Route("/sns", post, methods=["POST"])
