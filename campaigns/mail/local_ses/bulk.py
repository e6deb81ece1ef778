"""SendBulkEmail: one request becomes the mails of its entries.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html
"""

from collections.abc import Mapping
from typing import Any, Final

from campaigns.mail.local_ses import refusals, stationery
from campaigns.mail.local_ses.refusals import RefusedError

_MOST_ENTRIES: Final = 50


def mails_of(request: Mapping[str, Any]) -> list[dict[str, Any] | RefusedError]:
    """Return the SendEmail request of each entry, or why it is none.

    Raises:
        RefusedError: The request itself is of no use.
    """
    entries = request.get("BulkEmailEntries") or []
    default = (request.get("DefaultContent") or {}).get("Template")
    if not default or not 1 <= len(entries) <= _MOST_ENTRIES:
        raise refusals.bad_request(
            f"A default template and 1 to {_MOST_ENTRIES} entries are needed."
        )
    default_tags = _tags(request.get("DefaultEmailTags"))
    return [_mail_of(request, default, default_tags, each) for each in entries]


def _mail_of(
    request: Mapping[str, Any],
    default: Mapping[str, Any],
    default_tags: Mapping[str, str],
    entry: Mapping[str, Any],
) -> dict[str, Any] | RefusedError:
    try:
        tags = {**default_tags, **_tags(entry.get("ReplacementTags"))}
        return {
            **request,
            "Destination": entry.get("Destination"),
            "EmailTags": [{"Name": n, "Value": v} for n, v in tags.items()],
            "Content": {"Template": _template(default, entry)},
        }
    except RefusedError as refusal:
        return refusal


def _template(default: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    content = entry.get("ReplacementEmailContent") or {}
    data = (content.get("ReplacementTemplate") or {}).get("ReplacementTemplateData")
    headers = {
        header["Name"].casefold(): header
        for each in (default.get("Headers"), entry.get("ReplacementHeaders"))
        for header in each or []
    }
    template = {**default, "Headers": list(headers.values())}
    # As SES has it: an entry with `{}` takes the default's values.
    if data is not None and stationery.data_of(data):
        template["TemplateData"] = data
    return template


def _tags(pairs: list[Mapping[str, str]] | None) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs or []}
