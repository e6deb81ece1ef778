"""What is odd about data is counted, shown by example, and explained."""

import pytest

from campaigns.store import oddities, records
from campaigns.store.usage import UsageLake
from tests.factories import (
    NOON,
    add_account,
    address_hash,
    at,
    keep_usage,
    subscription,
    usage,
)


@pytest.fixture
def find(sessions, tmp_path):
    lake = UsageLake(tmp_path / "usage")

    def find(*events, subscriptions=()):
        keep_usage(lake, *events)
        with sessions.begin() as session:
            records.put(
                session, "subscriptions", subscriptions, address_hash=address_hash
            )
            found = oddities.find(session, lake, now=NOON)
        return {each.name: (each.odd, each.of, each.examples) for each in found}

    return find


def test_use_that_no_contract_covers(sessions, find):
    with sessions.begin() as session:
        for account in ("acc-1", "acc-2"):
            add_account(session, account, created_at=at("2025-03-01"))
    found = find(
        usage(when="2025-01-01T00:00:00+00:00"),
        usage(when="2025-04-01T00:00:00+00:00", contact="acc-1-p1"),
        usage(when="2025-09-01T00:00:00+00:00", contact="stranger"),
        usage("acc-2", when="2025-09-01T00:00:00+00:00"),
        subscriptions=[
            subscription(
                started_at=at("2025-03-01"),
                ended_at=at("2025-06-01"),
                end_kind="voluntary",
                mrr_minor=1,
                currency="EUR",
            )
        ],
    )

    assert found == {
        "use before the first subscription": (1, 4, ("acc-1",)),
        "use after the last subscription ended": (1, 4, ("acc-1",)),
        "use by accounts without any subscription": (1, 4, ("acc-2",)),
        "use before sign-up": (1, 4, ("acc-1",)),
        "without a subscription": (1, 2, ("acc-2",)),
        "named by use, and not imported": (1, 2, ("stranger",)),
    }


def test_contracts_that_contradict_each_other(sessions, find):
    with sessions.begin() as session:
        add_account(session, "acc-1")
    priced = {"mrr_minor": 1, "currency": "EUR"}
    first = subscription(
        id="s1", started_at=at("2025-01-01"), ended_at=at("2025-06-01"), **priced
    )
    second = subscription(id="s2", started_at=at("2025-05-01"), **priced)
    merged = subscription(
        id="s3",
        started_at=at("2024-01-01"),
        ended_at=at("2024-02-01"),
        end_kind="merged",
        merged_into="acc-9",
    )

    found = find(subscriptions=[first, second, merged])

    assert found == {
        "ended while another paid one ran": (1, 2, ("s1",)),
        "begun while an earlier paid one ran": (1, 3, ("s2",)),
        "ended, and nobody says how": (1, 2, ("s1",)),
        "merged into an account that is not there": (1, 1, ("s3",)),
        "paid, and without a price": (1, 3, ("s3",)),
        "without any use": (1, 1, ("acc-1",)),
    }


def test_accounts_and_contacts_that_are_one_or_none(sessions, find):
    with sessions.begin() as session:
        add_account(session, "acc-1", email="a@example.com")
        add_account(session, "ACC-1", email="A@example.com")
        add_account(session, "acc-2", contacts=0)
        add_account(session, "=1+1", email="b@example.com")
    found = find()

    assert found["the same id but for case"] == (2, 4, ("ACC-1", "acc-1"))
    assert found["the same name but for case"][0] == 2
    assert found["without a contact"] == (1, 4, ("acc-2",))
    assert found["an address that several accounts share"][:2] == (2, 3)
