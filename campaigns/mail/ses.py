"""Amazon SES, version 2 of its API.

Sending is not idempotent: SES has no token to recognise a repeated request by. So the
client is built with retries off (`wiring` does), each attempt is exactly one POST, and
everything that is not a known and definite no is an unknown: only an event can tell.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from campaigns.domain.values import Email, Picture, SendingQuota
from campaigns.errors import (
    CampaignHaltedError,
    OutcomeUnknownError,
    RejectedError,
    RetryLaterError,
    SendError,
    SendingHaltedError,
    ThrottledError,
)
from campaigns.mail import ses_bulk

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
_DEFINITE: Final[dict[str, type[SendError]]] = {
    "TooManyRequestsException": ThrottledError,
    "LimitExceededException": SendingHaltedError,
    "AccountSuspendedException": SendingHaltedError,
    "SendingPausedException": SendingHaltedError,
    "MailFromDomainNotVerifiedException": CampaignHaltedError,
    "NotFoundException": CampaignHaltedError,
    "ExpiredTokenException": SendingHaltedError,
    "UnrecognizedClientException": SendingHaltedError,
    "AccessDeniedException": SendingHaltedError,
    "MessageRejected": RejectedError,
    "BadRequestException": RejectedError,
}
_CLIENT_ERRORS: Final = range(400, 500)
_NEEDED: Final = (
    *("SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT"),
    *("OPEN", "CLICK"),
)


class SesSender:
    """Sends mails through one configuration set.

    Args:
        client: A boto3 `sesv2` client with retries off.
        from_address: Who the mails are from.
        reply_to: Where replies go; None for the sender.
        configuration_set: Without one, events would bear no tags.
    """

    def __init__(
        self,
        client: "SESV2Client",
        *,
        from_address: str,
        reply_to: str | None,
        configuration_set: str,
    ) -> None:
        self._client = client
        self._from_address = from_address
        self._reply_to = reply_to
        self._configuration_set = configuration_set

    def send(self, email: Email) -> str:
        """Send `email` by one POST and return the SES message id; see `send_all`."""
        (outcome,) = self.send_all([email])
        if isinstance(outcome, SendError):
            raise outcome
        return outcome

    def send_all(self, emails: Sequence[Email]) -> list[str | SendError]:
        """Send mails by one POST; return the SES message id of each, or why not.

        Raises:
            RetryLaterError: Nothing was taken, and later it may be.
            RejectedError: This mail will never be taken.
            CampaignHaltedError: Nothing was taken, nor will be of this campaign.
            SendingHaltedError: Nothing was taken, and nothing will be for now.
            OutcomeUnknownError: It may have been taken.
        """
        shared = self._shared()
        try:
            if len(emails) > 1:
                bulk = ses_bulk.request_of(emails)
                response: Any = self._client.send_bulk_email(**shared, **bulk)
            else:
                response = self._client.send_email(**shared, **_simple(emails[0]))
        except ClientError as error:
            raise _translated(error) from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise RetryLaterError(_kind(error)) from error
        except NoCredentialsError as error:
            raise SendingHaltedError("no AWS credentials were found") from error
        except ParamValidationError as error:
            raise RejectedError("the mail's parameters are not valid") from error
        except BotoCoreError as error:
            # Timed out or cut off after the request left, or not understood.
            raise OutcomeUnknownError(_kind(error)) from error
        if len(emails) > 1:
            return ses_bulk.outcomes_of(response, count=len(emails))
        message_id = response.get("MessageId")
        if not message_id:
            raise OutcomeUnknownError("SES answered without a message id")
        return [message_id]

    def quota(self) -> SendingQuota:
        """Return what SES allows now.

        Raises:
            RetryLaterError: SES did not answer.
            SendingHaltedError: It refused to.
        """
        try:
            account = self._client.get_account()
        except ClientError as error:
            raise SendingHaltedError(_code(error)) from error
        except BotoCoreError as error:
            raise RetryLaterError(_kind(error)) from error
        quota = account["SendQuota"]
        return SendingQuota(
            max_per_second=quota["MaxSendRate"],
            max_per_day=quota["Max24HourSend"],
            sent_last_day=quota["SentLast24Hours"],
            is_enabled=account["SendingEnabled"],
        )

    def unpublished(self) -> list[str]:
        """Return the kinds of events that we live by and that are published nowhere.

        Raises:
            CampaignHaltedError: There is no such configuration set.
            SendError: SES did not answer, or refused to tell.
        """
        try:
            told = self._client.get_configuration_set_event_destinations(
                ConfigurationSetName=self._configuration_set
            )
        except ClientError as error:
            code = _code(error)
            raise _DEFINITE.get(code, SendingHaltedError)(code) from error
        except BotoCoreError as error:
            raise RetryLaterError(_kind(error)) from error
        published = {
            kind
            for destination in told["EventDestinations"]
            if destination.get("Enabled") and "SnsDestination" in destination
            for kind in destination["MatchingEventTypes"]
        }
        return [kind for kind in _NEEDED if kind not in published]

    def _shared(self) -> Any:  # noqa: ANN401 — boto3's own dictionary
        """Return what all requests hold."""
        request: dict[str, Any] = {
            "FromEmailAddress": self._from_address,
            "ConfigurationSetName": self._configuration_set,
        }
        if self._reply_to:
            request["ReplyToAddresses"] = [self._reply_to]
        return request


def _simple(email: Email) -> Any:  # noqa: ANN401 — boto3's own dictionary
    """Return the part of a request that holds one mail."""
    content: dict[str, Any] = {
        "Subject": _utf8(email.subject),
        "Body": {"Text": _utf8(email.text), "Html": _utf8(email.html)},
        "Headers": [{"Name": k, "Value": v} for k, v in email.headers.items()],
    }
    if email.pictures:
        content["Attachments"] = [_inline(each) for each in email.pictures]
    return {
        "Destination": {"ToAddresses": [email.to]},
        "EmailTags": [{"Name": k, "Value": v} for k, v in email.tags.items()],
        "Content": {"Simple": content},
    }


def _inline(picture: Picture) -> dict[str, Any]:
    return {
        "FileName": f"{picture.name}.png",
        "ContentType": "image/png",
        "ContentTransferEncoding": "BASE64",
        "ContentDisposition": "INLINE",
        "ContentId": picture.name,
        "RawContent": picture.png,
    }


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _kind(error: Exception) -> str:
    return type(error).__name__


def _translated(error: ClientError) -> SendError:
    """Return our word for SES's answer; anything not listed leaves a doubt."""
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = error.response.get("Error", {}).get("Message", "")
    if status not in _CLIENT_ERRORS or code not in _DEFINITE:
        return OutcomeUnknownError(f"{code or 'no code'} (HTTP {status})")
    if "quota exceeded" in message:
        return SendingHaltedError(f"{code}: {message}")
    if "not verified" in message:
        # Of the sender; or in the sandbox of the recipient, where none would be taken.
        return CampaignHaltedError(f"{code}: an address is not verified")
    # SES's messages may quote the address; only these two are known not to.
    is_harmless = code in {"TooManyRequestsException", "NotFoundException"}
    return _DEFINITE[code](f"{code}: {message}" if is_harmless else code)
