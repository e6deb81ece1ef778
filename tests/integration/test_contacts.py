"""Contacts: one of an address at an account, however files come."""

from sqlalchemy import text

from campaigns.domain.words import SuppressionReason
from campaigns.store import records, suppressions
from tests.factories import NOON, address_hash, at, contact_ids

CONTACTS = """\
[fields]
id = "email"
account = { constant = "acc-1" }
"""
NAMED = CONTACTS + 'first_name = "name"\n'


def test_one_address_in_two_cases_is_one_contact(take, place):
    content = "email,name\nA@Example.com,A\na@example.com,A\n"

    taken, _, rejected, reason = take("contacts", content, mapping=CONTACTS)

    assert (taken, rejected) == (1, 1)
    assert "the address of contact 'A@Example.com'" in reason
    assert "A@Example.com" in contact_ids(place.sessions)


def test_contacts_may_swap_their_addresses(take):
    rows = "id,account,email\nc1,acc-2,{}@example.com\nc2,acc-2,{}@example.com\n"
    take("contacts", rows.format("a", "b"))

    assert take("contacts", rows.format("b", "a")) == (2, 0, 0)
    assert take("contacts", rows.format("b", "a")) == (0, 2, 0)
    assert take("contacts", rows.format("new", "b")) == (2, 0, 0)


def test_an_erased_address_that_is_imported_again_stays_suppressed(take, place):
    with place.sessions.begin() as session:
        erased = address_hash("A@example.com")
        suppressions.suppress(
            session, erased, SuppressionReason.ERASED, now=at("2025-01-01")
        )

    assert take("contacts", "email,name\na@example.com,A\n", mapping=CONTACTS)[0] == 1
    with place.sessions.begin() as session:
        found = records.contacts_of(session, ["acc-1"], now=NOON)["acc-1"]
    assert {c.id: c.is_suppressed for c in found}["a@example.com"]


def test_contacts_that_accounts_share_are_a_contact_of_each(take):
    rows = "id,account,email\np1,acc-1,a@example.com\np2,acc-2,a@example.com\n"

    assert take("contacts", rows) == (2, 0, 0)


def test_contacts_far_apart_in_a_file_may_swap_their_addresses(take):
    """As in an export ordered by name: one batch of rows lies between the two."""
    between = "".join(f"n{n},acc-1,n{n}@example.com\n" for n in range(5_100))
    rows = "id,account,email\nc1,acc-2,{}@example.com\n" + between
    rows += "c2,acc-2,{}@example.com\n"
    take("contacts", rows.format("a", "b"))

    assert take("contacts", rows.format("b", "a")) == (2, 5_100, 0)
    assert take("contacts", rows.format("a", "a"))[:3] == (0, 5_101, 1)


def test_a_whole_export_may_swap_its_addresses(take):
    """More wait for one another than are stored at a time."""
    rows = "id,account,email\n" + "".join(
        f"c{n},acc-2,a{{}}@example.com\n" for n in range(10_400)
    )
    take("contacts", rows.format(*range(10_400)))
    turned = [(n + 5_200) % 10_400 for n in range(10_400)]

    assert take("contacts", rows.format(*turned)) == (10_400, 0, 0)


def test_of_two_rows_that_want_an_address_the_first_gets_it(take, place):
    """Although it has to wait, and the second comes when the address is free."""
    between = "".join(f"n{n},acc-1,n{n}@example.com\n" for n in range(5_100))
    header = "id,account,email\n"
    take("contacts", header + "c1,acc-2,a@example.com\nc2,acc-2,b@example.com\n")

    rows = "c1,acc-2,b@example.com\n" + between + "c2,acc-2,c@example.com\n"
    late = "".join(f"m{n},acc-1,m{n}@example.com\n" for n in range(5_100))
    *counts, reason = take(
        "contacts", header + rows + late + "c7,acc-2,b@example.com\n"
    )

    assert counts == [10_202, 0, 1]
    assert "is the address of contact 'c1'" in reason


def test_who_may_not_have_an_address_keeps_the_own_and_nobody_else_gets_it(take, place):
    header = "id,account,email\n"
    rows = [f"c{n},acc-2,{name}@example.com\n" for n, name in enumerate("abd")]
    take("contacts", header + "".join(rows))

    # c0 wants b of c1, c1 wants d of c2, which has no row and stays as it is.
    moved = "c0,acc-2,b@example.com\nc1,acc-2,d@example.com\n"
    assert take("contacts", header + moved)[:3] == (0, 0, 2)
    with place.sessions.begin() as session:
        query = text("SELECT email FROM contacts WHERE account = 'acc-2' ORDER BY id")
        kept = session.scalars(query).all()
    assert kept[-3:] == ["a@example.com", "b@example.com", "d@example.com"]
