import json
import re
from datetime import date

import pytest

from campaigns.domain.values import Recipient
from campaigns.errors import RenderError, TemplateError
from campaigns.mail.links import Tokens, unsubscribe_headers
from campaigns.mail.templates import Templates
from tests.conftest import shared
from tests.factories import ROOT

SHIPPED = Templates([ROOT / "templates" / "email"])
HOSTILE = '<script>alert("x")</script> {{ 7 * 7 }} & "quotes"'
FACTS = {
    "company": {
        "name": "Tidemark",
        "signature": "The Tidemark team",
        "postal_address": "Harbour Street 4, 20457 Hamburg",
    },
    "account": {"name": HOSTILE},
    "contact": {"first_name": HOSTILE},
    "segment": "slow-fade",
    "reasons": [HOSTILE],
    "usage": {
        "left_on": date(2025, 12, 1),
        "last_used_on": date(2025, 11, 20),
        "favourite_feature": "the Slack connector",
        "favourite_events": 103,
        "failing_integration": "the Slack connector",
        "failures": 60,
    },
    "releases": [
        {"title": HOSTILE, "text": "Text.", "date": date(2025, 12, 20), "url": None}
    ],
    "links": {
        "unsubscribe": "https://mail.tidemark.example/u/1.abc",
        "come_back": "https://app.tidemark.example/?a=b&c=d",
    },
}


def test_there_are_two_mails_for_every_segment_and_the_unsure():
    from models.taxonomy import read_taxonomy

    taxonomy = read_taxonomy(ROOT / "templates" / "workspace" / "segments.toml")
    names = [segment.name for segment in taxonomy] + ["general"]

    expected = {*names, *(f"{name}-follow-up" for name in names)}
    assert set(SHIPPED.names()) == expected


@pytest.mark.parametrize("name", SHIPPED.names())
def test_every_shipped_mail_holds_what_it_must(name):
    mail = SHIPPED.compiled(name).render(FACTS)

    assert "\n" not in mail.subject
    for part in (mail.html, mail.text):
        assert "https://mail.tidemark.example/u/1.abc" in part
        assert "Harbour Street 4" in part
        assert "49" not in part  # what a value holds is never run
        assert "WBX" not in part
        assert "<!--wb" not in part
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "fonts.googleapis" not in mail.html


@pytest.mark.parametrize("name", SHIPPED.names())
def test_every_shipped_mail_does_without_what_is_not_known(name):
    nothing = {
        "favourite_feature": None,
        "favourite_events": 0,
        "failing_integration": None,
        "failures": 0,
    }
    facts = FACTS | {
        "contact": {"first_name": None},
        "usage": FACTS["usage"] | nothing,
        "releases": [],
    }
    mail = SHIPPED.compiled(name).render(facts)

    assert "None" not in mail.html + mail.text + mail.subject
    assert "Since you left" not in mail.html + mail.text


def test_the_version_changes_with_the_text_and_only_then(tmp_path):
    one = SHIPPED.compiled("general").version
    again = Templates([ROOT / "templates" / "email"]).compiled("general").version

    assert one == again
    assert one != SHIPPED.compiled("slow-fade").version


BODY = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column>"
    "</mj-section></mj-body></mjml>"
)


@pytest.fixture
def own(tmp_path):
    def own(body="x", subject="Hello", mjml=BODY):
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "subject.txt").write_text(subject)
        (folder / "body.mjml").write_text(mjml.replace("{}", body))
        return Templates([tmp_path, ROOT / "templates" / "email"]).compiled("own")

    return own


def test_the_text_part_says_what_the_html_says(own):
    body = (
        "Hello{% if contact.first_name %} {{ contact.first_name }}{% endif %},"
        "</mj-text>"
        "{% if releases %}<mj-text>Since <b>you</b>&nbsp;left:<ul><li>one</li>"
        '<li>two</li></ul></mj-text>{% endif %}<mj-button href="{{ links.come_back }}">'
        'Come back</mj-button><mj-image src="x.png" alt="A chart" /><mj-text>'
        '<a href="{{ links.unsubscribe }}">Stop</a> here,<br />or {% if false %}x'
        "{% endif %}"
    )
    text = own(body).render(FACTS | {"contact": {"first_name": "Ada"}}).text

    assert text == (
        "Hello Ada,\n\nSince you\xa0left:\n- one\n- two\n\n"
        f"Come back: {FACTS['links']['come_back']}\n\nA chart\n\n"
        f"Stop ({FACTS['links']['unsubscribe']}) here,\nor\n"
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Hi{% if releases %} A{% endif %}<br />second line", "Hi A\nsecond line\n"),
        (
            "<ul>{% for x in [1, 2] %}<li>{{ x }}</li>{% endfor %}</ul>",
            "- 1\n- 2\n",
        ),
        ("{% if releases %}<p>One</p>{% endif %}<p>Two</p>", "One\nTwo\n"),
        (
            "A</mj-text>{%- if releases -%}<mj-text>B</mj-text>{%- endif -%}<mj-text>C",
            "A\n\nB\n\nC\n",
        ),
        (
            "A</mj-text>{% if not releases %}<mj-text>B</mj-text>{% endif %}<mj-text>C",
            "A\n\nC\n",
        ),
        (
            "A</mj-text><mj-table><tr><td>x</td><td>1</td></tr><tr><td>y</td></tr>"
            "</mj-table><mj-raw><p>raw</p></mj-raw><mj-text>C",
            "A\n\nx 1\ny\n\nraw\n\nC\n",
        ),
    ],
)
def test_lines_of_the_text_part_stay_apart(own, body, text):
    assert own(body).render(FACTS).text == text


def test_tags_survive_mjml_and_css_wherever_they_stand(own):
    template = own(
        "{% if usage.failures > 3 and 'a' < 'b' %}{{ \"often\" }}{% endif %}"
    )

    assert "often" in template.render(FACTS).html


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"body": "{{ contact.frist_name }}"}, "frist_name"),
        ({"body": "{{ nobody }}"}, "nobody"),
        ({"subject": "{{ account.nmae }}"}, "nmae"),
        ({"subject": "two\nlines"}, "one line"),
        ({"subject": "{% if false %}x{% endif %}"}, "must have 1 to"),
        ({"subject": "=?utf-8?Q?two=0D=0Alines?="}, "encoded word"),
        ({"body": "{{ 1 / 0 }}"}, "ZeroDivisionError"),
    ],
)
def test_a_mail_that_cannot_be_made_says_why(own, parts, message):
    with pytest.raises(RenderError, match=message):
        own(**parts).render(FACTS)


def test_a_header_cannot_be_smuggled_in_by_a_value(own):
    template = own(subject="For {{ account.name }}")
    with pytest.raises(RenderError, match="one line"):
        template.render(FACTS | {"account": {"name": "x\r\nBcc: eve@example.org"}})


def test_wrong_templates_are_found_when_they_are_compiled(own):
    with pytest.raises(TemplateError, match="line 1"):
        own(body="{% if %}")
    with pytest.raises(TemplateError, match=r"body\.mjml"):
        own(mjml="<mjml><mj-body><mj-section>")
    with pytest.raises(TemplateError, match="may not hold 'WBX7X'"):
        own(body="WBX7X")
    with pytest.raises(TemplateError, match="nowhere"):
        SHIPPED.compiled("nowhere")


@pytest.mark.parametrize(
    "include",
    [
        'path="/etc/passwd"',
        'path="file:///elsewhere.mjml"',
        'path="_base/../x.mjml"',
        'css-class="a>b" path="/etc/passwd"',
        'PATH="/etc/passwd"',
        "path=/etc/passwd",
        "",
    ],
)
@pytest.mark.parametrize("place", ["mj-head", "mj-body"])
def test_a_template_includes_the_shared_base_only(own, include, place):
    with pytest.raises(TemplateError, match="may only include _base|is written"):
        own(mjml=f"<mjml><{place}><mj-include {include} /></{place}></mjml>")


@pytest.mark.parametrize("name", SHIPPED.names())
def test_every_part_of_a_mail_is_as_wide_as_the_others(name):
    """Header and footer too, which are included: else they hang at the left edge."""
    html = SHIPPED.compiled(name).render(FACTS).html
    parts = re.findall(r'<div class="page" style="([^"]*)"', html)

    assert len(parts) >= 3
    assert all("margin:0px auto;max-width:600px;" in style for style in parts)


def test_a_base_that_includes_itself_is_refused(tmp_path):
    (tmp_path / "_base").mkdir()
    (tmp_path / "mine").mkdir()
    include = '<mj-include path="_base/a.mjml" />'
    (tmp_path / "_base" / "a.mjml").write_text(include)
    (tmp_path / "mine" / "subject.txt").write_text("x")
    body = f"<mjml><mj-body>{include}</mj-body></mjml>"
    (tmp_path / "mine" / "body.mjml").write_text(body)

    with pytest.raises(TemplateError, match="what is included includes nothing"):
        Templates([tmp_path]).compiled("mine")


def test_what_would_escape_the_sandbox_is_refused(own):
    refused = 0
    cases = json.loads(shared("vectors", "jinja_template_cases.json").read_text())
    for case in cases["cases"]:
        wanted = case["required"]
        if "Security" not in wanted and "error" not in wanted and "FAIL" not in wanted:
            continue  # limits of time and size: not in this version
        with pytest.raises((RenderError, TemplateError)):
            own(body=case["template"]).render(FACTS | {"x": "x"})
        refused += 1
    assert refused >= 8


KEYS = {"1": b"a" * 32, "2": b"b" * 32}


def test_a_token_names_its_message_and_nothing_else():
    named = Recipient(4711, "0a" * 32)
    token = Tokens(KEYS).make(named)

    assert Tokens(KEYS).read(token) == named
    assert token.startswith("2.")


def test_a_token_of_before_addresses_were_told_is_good_for_ever():
    old = "1.AAAAAAAAEmd8f19DXG2K9U2KbJy22e0v"

    assert Tokens(KEYS).read(old) == Recipient(4711)


def test_a_rotated_key_still_verifies():
    old = Tokens({"1": KEYS["1"]}).make(Recipient(5))

    assert Tokens(KEYS).read(old) == Recipient(5)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:-2],
        lambda token: token.replace("2.", "1."),
        lambda token: token.replace("2.", "3."),
        lambda _token: "",
        lambda _token: "2.",
        lambda _token: "2.ümlaut",
        lambda token: token + "AAAA",
    ],
    ids=["bit", "cut", "key", "no-key", "empty", "body", "letters", "longer"],
)
def test_a_forged_token_is_not_read(change):
    assert Tokens(KEYS).read(change(Tokens(KEYS).make(Recipient(5, "0a" * 32)))) is None


def test_the_headers_are_those_of_rfc_8058():
    assert unsubscribe_headers("https://x.example/u/1") == {
        "List-Unsubscribe": "<https://x.example/u/1>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
