"""SendBulkEmail: up to 50 mails by one request, each with its own tags and headers.

It saves round trips, not quota. The template that the request asks for lets whole mails
through, because ours are rendered before.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from campaigns.domain.values import Email
from campaigns.errors import (
    CampaignHaltedError,
    OutcomeUnknownError,
    RejectedError,
    SendError,
    SendingHaltedError,
    ThrottledError,
)

MOST: Final = 50
_TEMPLATE: Final = {
    "TemplateContent": {
        "Subject": "{{{subject}}}",
        "Html": "{{{html}}}",
        "Text": "{{{text}}}",
    },
    "TemplateData": "{}",
}
# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BulkEmailEntryResult.html
_DEFINITE: Final[dict[str, type[SendError]]] = {
    "MESSAGE_REJECTED": RejectedError,
    "INVALID_PARAMETER": RejectedError,
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": CampaignHaltedError,
    "CONFIGURATION_SET_NOT_FOUND": CampaignHaltedError,
    "CONFIGURATION_SET_SENDING_PAUSED": CampaignHaltedError,
    "TEMPLATE_NOT_FOUND": CampaignHaltedError,
    "INVALID_SENDING_POOL_NAME": CampaignHaltedError,
    "ACCOUNT_THROTTLED": ThrottledError,
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": SendingHaltedError,
    "ACCOUNT_SENDING_PAUSED": SendingHaltedError,
    "ACCOUNT_SUSPENDED": SendingHaltedError,
}


def request_of(emails: Sequence[Email]) -> dict[str, Any]:
    """Return the part of a request that holds the mails."""
    return {
        "DefaultContent": {"Template": _TEMPLATE},
        "BulkEmailEntries": [_entry(email) for email in emails],
    }


def _entry(email: Email) -> dict[str, Any]:
    parts = {"subject": email.subject, "html": email.html, "text": email.text}
    data = {"ReplacementTemplateData": orjson.dumps(parts).decode()}
    return {
        "Destination": {"ToAddresses": [email.to]},
        "ReplacementTags": _pairs(email.tags),
        "ReplacementHeaders": _pairs(email.headers),
        "ReplacementEmailContent": {"ReplacementTemplate": data},
    }


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def outcomes_of(response: Mapping[str, Any], *, count: int) -> list[str | SendError]:
    """Return what SES said of each of `count` mails: an id, or why there is none.

    Raises:
        OutcomeUnknownError: It did not speak of each.
    """
    results = response.get("BulkEmailEntryResults") or []
    if len(results) != count:
        raise OutcomeUnknownError(f"SES answered {len(results)} of {count} mails")
    return [_outcome(result) for result in results]


def _outcome(result: Mapping[str, str]) -> str | SendError:
    """Return an entry's outcome; anything not listed leaves a doubt."""
    status = result.get("Status", "")
    message_id = result.get("MessageId")
    if status == "SUCCESS" and message_id:
        return message_id
    return _DEFINITE.get(status, OutcomeUnknownError)(status or "no status")
