"""Make the mail of one claimed message: facts into a template, links and headers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from campaigns.domain.values import ClaimedMessage, Email, Recipient, ReleaseNote
from campaigns.errors import RenderError
from campaigns.mail.links import Tokens, unsubscribe_headers
from campaigns.mail.templates import Order, Rendered
from campaigns.rules.content import since_you_left
from campaigns.scoring.reasons import fit_for_mail

Render = Callable[[Sequence[Order]], Iterable[Rendered | RenderError]]


class Composer(NamedTuple):
    """What all mails are made with.

    Attributes:
        render: Fills templates with facts.
        tokens: Makes unsubscribe tokens.
        company: name, signature, postal_address.
        return_url: Where the button leads.
        public_base_url: Under which address the unsubscribe page is reached.
        feature_words: What features are called in mails.
    """

    render: Render
    tokens: Tokens
    company: Mapping[str, str]
    return_url: str
    public_base_url: str
    feature_words: Mapping[str, str]


def compose_all(
    composer: Composer,
    messages: Sequence[ClaimedMessage],
    *,
    instance: str,
    releases: Sequence[ReleaseNote],
    now: datetime,
) -> list[Email | RenderError]:
    """Return the mail of each message, or why it cannot be made.

    Args:
        composer: What they are made with.
        messages: Whose they are.
        instance: The name of the database that they are of, for the tags.
        releases: What may be told of.
        now: The moment.
    """
    links = [
        f"{composer.public_base_url}/u/{composer.tokens.make(_recipient(message))}"
        for message in messages
    ]
    orders = [
        Order(message.template, _facts(composer, message, releases, link, now))
        for message, link in zip(messages, links, strict=True)
    ]
    return [
        rendered
        if isinstance(rendered, RenderError)
        else _email(instance, message, rendered, link)
        for message, link, rendered in zip(
            messages, links, composer.render(orders), strict=True
        )
    ]


def _recipient(message: ClaimedMessage) -> Recipient:
    return Recipient(message.id, message.address_hash)


def _email(
    instance: str, message: ClaimedMessage, rendered: Rendered, unsubscribe: str
) -> Email:
    return Email(
        to=message.address,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers=unsubscribe_headers(unsubscribe),
        tags={
            "wb_instance": instance,
            "wb_message": str(message.id),
            "wb_recipient": message.address_hash,
            "wb_campaign": message.campaign,
            "wb_step": str(message.step),
            "wb_template": message.template,
        },
    )


def _facts(
    composer: Composer,
    message: ClaimedMessage,
    releases: Sequence[ReleaseNote],
    unsubscribe: str,
    now: datetime,
) -> dict[str, Any]:
    """Return what a template may name: plain values only."""
    used = message.facts
    last_used_at = used.get("last_used_at")
    last_used = datetime.fromisoformat(last_used_at) if last_used_at else None
    failed = used.get("failing_integration")
    touched = {*used.get("features", ()), failed} - {None}
    chosen = since_you_left(
        releases,
        left_at=message.churned_at,
        features=touched,
        failed=failed,
        now=now,
    )
    return {
        "company": dict(composer.company),
        "account": {"name": message.account_name},
        "contact": {"first_name": message.first_name},
        "segment": message.segment,
        "reasons": fit_for_mail(message.reasons),
        "usage": {
            "left_on": message.churned_at.date(),
            "last_used_on": (last_used or message.churned_at).date(),
            "favourite_feature": _words(composer, used.get("favourite_feature")),
            "favourite_events": used.get("favourite_events", 0),
            "failing_integration": _words(composer, failed),
            "failures": used.get("failures", 0),
        },
        "releases": [
            {"date": r.date, "title": r.title, "text": r.text, "url": r.url}
            for r in chosen
        ],
        "links": {"come_back": composer.return_url, "unsubscribe": unsubscribe},
    }


def _words(composer: Composer, feature: str | None) -> str | None:
    """Return what a feature is called in a mail."""
    if feature is None:
        return None
    plain = feature.replace(".", " ").replace("_", " ")
    return composer.feature_words.get(feature, plain)
