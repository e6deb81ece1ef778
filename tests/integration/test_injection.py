"""Values that try to become headers, recipients or redirects stay what they are."""

import email
import email.policy
import json

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from campaigns.config import CompanySettings, SendingSettings
from campaigns.domain.records import email_address
from campaigns.domain.values import Email
from campaigns.errors import RenderError
from campaigns.mail.links import Tokens, unsubscribe_headers
from campaigns.mail.ses import SesSender
from campaigns.mail.templates import Templates
from campaigns.present.pages import Pages
from campaigns.web.one_click import make_app
from tests.conftest import shared
from tests.factories import ROOT

OURS = {"from", "to", "subject", "list-unsubscribe", "list-unsubscribe-post"}
STANDARD = {"mime-version", "content-type", "message-id", "date", "feedback-id"}
UNSUBSCRIBE = unsubscribe_headers("https://mail.acme.example/u/1.x")


def payloads(*, where):
    cases = json.loads(shared("vectors", "header_injection_payloads.json").read_text())
    return [each["value"] for each in cases["payloads"] if where in each["where"]]


@pytest.fixture
def posted(in_process):
    """Post a mail; returns the message that a mailbox would get."""
    ses, make = in_process
    client, outbox = make("sesv2"), ses.outbox

    def post(*, subject="Come back", from_name="Tidemark", to="ada@example.com"):
        settings = SendingSettings(
            from_address="hello@tidemark.example",
            from_name=from_name,
            public_base_url="https://mail.acme.example",
        )
        sender = SesSender(
            client,
            from_address=settings.sender,
            reply_to=None,
            configuration_set="winback",
        )
        sender.send(
            Email(to, subject, "<p>Hello</p>", "Hello", UNSUBSCRIBE, {"a": "b"})
        )
        _, source = outbox.mail(outbox.taken())
        return email.message_from_bytes(source, policy=email.policy.SMTP)

    return post


def is_whole(message) -> bool:
    """Say whether a message has our headers, each once, and one recipient."""
    names = [name.lower() for name in message]
    others = set(names) - OURS - STANDARD
    recipients = [to.addr_spec for to in message["To"].addresses]
    is_once = len(names) == len(set(names))
    return is_once and not others and recipients == ["ada@example.com"]


def test_no_value_in_a_subject_becomes_a_header(posted, tmp_path):
    folder = tmp_path / "own" / "asked"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("{{ contact.first_name }}, come back")
    (folder / "body.mjml").write_text(
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{ contact.first_name }}"
        "</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    template = Templates([tmp_path / "own", ROOT / "templates" / "email"])
    sent = refused = 0
    for value in payloads(where="subject"):
        facts = {"contact": {"first_name": value}}
        try:
            mail = template.compiled("asked").render(facts)
        except RenderError:
            refused += 1
            continue
        assert is_whole(posted(subject=mail.subject)), value
        sent += 1

    assert sent, "some are harmless words"
    assert refused, "some hold a line break"


def test_no_value_in_the_senders_name_becomes_a_header(posted):
    posted_at_all = 0
    for value in payloads(where="from_name"):
        try:
            message = posted(from_name=value)
        except ValidationError as error:
            assert "from_name" in str(error)  # noqa: PT017 — others are harmless
            continue
        assert is_whole(message), value
        (sender,) = message["From"].addresses
        assert sender.addr_spec == "hello@tidemark.example", value
        posted_at_all += 1

    assert posted_at_all


def test_no_address_becomes_two(posted):
    values = payloads(where="to")
    assert values
    for value in values:
        try:
            address = email_address(value)
        except ValueError:
            continue
        (to,) = posted(to=address)["To"].addresses
        assert to.addr_spec == address


class Nobody:
    def unsubscribe(self, message):
        raise AssertionError(message)

    snooze = unsubscribe


def test_no_address_in_a_request_is_gone_to():
    app = make_app(
        recipients=Nobody(),
        read_token=Tokens({"1": b"t" * 32}).read,
        pages=Pages(ROOT / "templates"),
        company="Tidemark",
    )
    client = TestClient(app, follow_redirects=False)
    cases = json.loads(shared("vectors", "open_redirect_payloads.json").read_text())
    for target in cases["payloads"]:
        for method in ("GET", "HEAD", "POST"):
            for path in ("/u/1.x", "/", "/r"):
                query = dict.fromkeys(("next", "url", "to", "return_url"), target)
                answer = client.request(method, path, params=query)
                assert answer.status_code in {404, 405}, (method, path, target)
                assert "location" not in answer.headers
                assert "evil.example" not in answer.text


def test_the_button_leads_to_a_web_page_only():
    for target in ("javascript:alert(1)", "vbscript:x", "ftp://ok.example", "//evil"):
        with pytest.raises(ValidationError, match="return_url"):
            CompanySettings(name="Tidemark", return_url=target)
