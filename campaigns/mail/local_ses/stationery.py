"""SES's own templates: `{{name}}` filled in from a mail's data.

Names, dotted names and unescaped `{{{name}}}` are understood; blocks such as `{{#if}}`
are refused when a template is stored, rather than sent as they stand.
https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-advanced.html
"""

import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final

import orjson

from campaigns.mail.local_ses.refusals import bad_request

_TAG: Final = re.compile(r"\{\{\{\s*([\w.-]+)\s*\}\}\}|\{\{\s*([\w.-]+)\s*\}\}")
_BLOCK: Final = re.compile(r"\{\{[#/^>!~]")
_PARTS: Final = {"Subject": "subject", "Text": "text", "Html": "html"}


class MissingValueError(Exception):
    """The data of a mail lacks a value that its template names."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Attribute '{name}' is not present in the rendering data.")


def check(content: Mapping[str, Any]) -> None:
    """Refuse a template that is not understood here."""
    if (
        not content.get("Subject")
        and not content.get("Text")
        and not content.get("Html")
    ):
        raise bad_request("The template has no content.")
    for part in _PARTS:
        if _BLOCK.search(content.get(part) or ""):
            raise bad_request(
                f"The template's {part} holds a block ({{{{#…}}}}), which this local "
                "stand-in does not understand."
            )


def data_of(text: str | None) -> dict[str, Any]:
    """Return the values in a TemplateData string."""
    try:
        values = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise bad_request("TemplateData is not valid JSON.") from error
    if not isinstance(values, dict):
        raise bad_request("TemplateData is not a JSON object.")
    return values


def rendered(
    content: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, str | None]:
    """Return subject, text and html with the values filled in.

    Raises:
        MissingValueError: A value is missing.
    """
    return {
        name: _filled(content[part], values, is_html=part == "Html")
        if content.get(part)
        else None
        for part, name in _PARTS.items()
    }


def _filled(text: str, values: Mapping[str, Any], *, is_html: bool) -> str:
    def fill(match: re.Match[str]) -> str:
        raw, plain = match.groups()
        value = _look_up(raw or plain, values)
        return escape(value) if is_html and plain else value

    return _TAG.sub(fill, text)


def _look_up(name: str, values: Mapping[str, Any]) -> str:
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise MissingValueError(name)
        found = found[part]
    return _written(found)


def _written(value: object) -> str:
    """Return a text, number or truth value as Handlebars writes it; JSON of others."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()
