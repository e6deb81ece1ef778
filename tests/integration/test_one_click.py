"""Unsubscribing over HTTP, kept by each database."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import urllib3
from sqlalchemy import select, text

from campaigns.config import Secrets, token_keys
from campaigns.domain.values import Recipient
from campaigns.mail.links import Tokens
from campaigns.store.tables.delivery import SuppressionRow
from campaigns.store.watermark import Watermark
from campaigns.web.serving import unsubscribe_page
from tests.factories import address_hash, enrolled

ACT = {"List-Unsubscribe": "One-Click"}
ADDRESS = "p1@acc-1.example.com"


@pytest.fixture
def link_of(sessions, clock, tmp_path):
    """Returns the address by which a recipient unsubscribes."""
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
        tokens = Tokens(token_keys(secrets))
        yield lambda recipient: f"{page}/u/{tokens.make(recipient)}"


@pytest.fixture
def url(link_of):
    """The address by which the recipient of the only message unsubscribes."""
    return link_of(Recipient(1, address_hash(ADDRESS)))


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


def test_a_link_in_a_mail_that_a_restored_database_forgot_still_works(
    sessions, link_of
):
    """The number of its message belongs to another mail now, or to none."""
    lost = {1: address_hash("lost@example.com"), 77: address_hash("too@example.com")}
    for number, address in lost.items():
        url = link_of(Recipient(number, address))
        assert urllib3.request("POST", url, fields=ACT).status == 200

    # Whoever has the number now said nothing.
    assert set(suppressed(sessions)) == set(lost.values())


def test_a_link_of_before_addresses_were_told_works_while_its_message_is_known(
    sessions, link_of
):
    answers = [
        urllib3.request("POST", link_of(Recipient(number)), fields=ACT).status
        for number in (1, 77)
    ]
    assert answers == [200, 404]
    assert suppressed(sessions) == [address_hash(ADDRESS)]


def test_a_link_still_works_when_nothing_is_known_of_its_recipient(sessions, url):
    with sessions.begin() as session:
        session.execute(
            text("UPDATE contacts SET email = '', first_name = '', address_hash = ''")
        )

    assert urllib3.request("POST", url, fields=ACT).status == 200
    assert suppressed(sessions) == [address_hash(ADDRESS)]
