"""Unsubscribing over HTTP, kept by each database."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import urllib3
from sqlalchemy import select, text

from campaigns.config import Secrets, token_keys
from campaigns.mail.links import Tokens
from campaigns.store.tables.delivery import SuppressionRow
from campaigns.store.watermark import Watermark
from campaigns.web.serving import unsubscribe_page
from tests.factories import address_hash, enrolled

ACT = {"List-Unsubscribe": "One-Click"}
ADDRESS = "p1@acc-1.example.com"


@pytest.fixture
def url(sessions, clock, tmp_path):
    """The address by which the recipient of the only message unsubscribes."""
    enrolled(sessions)
    key = "ab" * 32
    secrets = Secrets(
        holdout_key=key, address_key=key, token_keys={"1": key}, encryption_key=key
    )
    workspace = SimpleNamespace(
        sessions=sessions,
        clock=clock,
        watermark=Watermark(tmp_path / "mark.json"),
        settings=SimpleNamespace(
            secrets=secrets,
            company=SimpleNamespace(name="Tidemark"),
            sending=SimpleNamespace(listen_port=0, sns_topics=[]),
        ),
    )
    with unsubscribe_page(workspace) as page:
        yield f"{page}/u/{Tokens(token_keys(secrets)).make(1)}"


def suppressed(sessions):
    with sessions.begin() as session:
        return session.scalars(select(SuppressionRow.address_hash)).all()


def test_a_thousand_posts_at_once_are_one_no(sessions, url):
    with urllib3.PoolManager(maxsize=64) as client, ThreadPoolExecutor(64) as pool:
        tries = [
            pool.submit(client.request, "POST", url, fields=ACT) for _ in range(1_000)
        ]
        answers = [each.result().status for each in tries]

    assert set(answers) == {200}
    assert suppressed(sessions) == [address_hash(ADDRESS)]


def test_a_link_still_works_when_nothing_is_known_of_its_recipient(sessions, url):
    with sessions.begin() as session:
        session.execute(
            text("UPDATE contacts SET email = '', first_name = '', address_hash = ''")
        )

    assert urllib3.request("POST", url, fields=ACT).status == 200
    assert suppressed(sessions) == [address_hash(ADDRESS)]
