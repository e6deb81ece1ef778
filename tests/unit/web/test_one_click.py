"""RFC 8058, case by case."""

import json
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from campaigns.domain.values import Recipient
from campaigns.errors import NotFoundError
from campaigns.mail.links import Tokens
from campaigns.present.pages import Pages
from campaigns.web.one_click import make_app
from tests.conftest import shared
from tests.factories import ROOT

TOKENS = Tokens({"1": b"t" * 32})
ACT = {"List-Unsubscribe": "One-Click"}
UNKNOWN = 404


class Desk:
    def __init__(self):
        self.unsubscribed = []
        self.snoozed = []
        app = make_app(
            recipients=self,
            read_token=TOKENS.read,
            pages=Pages(ROOT / "templates"),
            company="Tidemark",
        )
        self.client = TestClient(app, follow_redirects=False)
        self.url = f"/u/{TOKENS.make(Recipient(5))}"

    def unsubscribe(self, recipient):
        if recipient.message == UNKNOWN:
            raise NotFoundError("no such message")
        self.unsubscribed.append(recipient.message)

    def snooze(self, recipient):
        self.snoozed.append(recipient.message)
        return datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def desk():
    return Desk()


def test_a_post_with_the_pair_acts_without_cookie_or_redirect(desk):
    answer = desk.client.post(desk.url, data=ACT)

    assert answer.status_code == 200
    assert "Done" in answer.text
    assert "set-cookie" not in answer.headers
    assert desk.unsubscribed == [5]


def test_multipart_acts_too(desk):
    answer = desk.client.post(desk.url, files={"List-Unsubscribe": (None, "One-Click")})

    assert (answer.status_code, desk.unsubscribed) == (200, [5])


def test_a_foreign_origin_acts_too_because_the_token_is_the_authority(desk):
    desk.client.post(desk.url, data=ACT, headers={"Origin": "https://evil.example"})

    assert desk.unsubscribed == [5]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_look_unsubscribes_nobody(desk, method):
    answer = desk.client.request(method, desk.url)

    assert (answer.status_code, desk.unsubscribed) == (200, [])


def test_the_page_has_a_button_that_acts(desk):
    page = desk.client.get(desk.url).text

    assert 'method="post"' in page
    assert 'name="List-Unsubscribe" value="One-Click"' in page


def test_who_wants_a_rest_only_gets_one(desk):
    assert 'name="snooze" value="three-months"' in desk.client.get(desk.url).text

    answer = desk.client.post(desk.url, data={"snooze": "three-months"})

    assert answer.status_code == 200
    assert "before 4 May 2026" in answer.text
    assert (desk.snoozed, desk.unsubscribed) == ([5], [])
    both = {"snooze": "three-months", **ACT}
    desk.client.post(desk.url, data=both)
    assert desk.unsubscribed == [5]


def test_a_message_that_is_gone_is_not_known(desk):
    url = f"/u/{TOKENS.make(Recipient(UNKNOWN))}"

    assert desk.client.post(url, data=ACT).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "No"}, {"snooze": "1"}, {"a": "b"}]
)
def test_a_post_without_the_pair_shows_the_page(desk, body):
    answer = desk.client.post(desk.url, data=body)

    assert (answer.status_code, desk.unsubscribed) == (400, [])
    assert "button" in answer.text


def test_a_forged_token_is_not_known(desk):
    for method in ("get", "post"):
        answer = getattr(desk.client, method)("/u/1.forged")
        assert answer.status_code == 404
    assert desk.unsubscribed == []


def test_the_vectors_hold_no_case_that_is_not_tried_here():
    cases = json.loads(shared("vectors", "oneclick_cases.json").read_text())

    assert len(cases) == 10  # two of them need the store: tests/integration
