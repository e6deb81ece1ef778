from hypothesis import given
from hypothesis import strategies as st

from campaigns.steps.take_contacts import holders_after

CONTACTS = st.sampled_from("abcdefgh")
ADDRESSES = st.sampled_from("12345678").map(lambda number: ("acc", number))


@given(
    wanted=st.dictionaries(CONTACTS, ADDRESSES),
    # Nobody has two addresses, no address two contacts.
    stored=st.permutations("abcdefgh").map(lambda order: order[:6]),
)
def test_in_the_end_nobody_shares_an_address(wanted, stored):
    has = {contact: ("acc", str(n)) for n, contact in enumerate(stored, start=1)}
    relevant = {at: c for c, at in has.items() if at in wanted.values()}

    holders = holders_after(wanted, relevant)

    in_the_end = has | {c: at for c, at in wanted.items() if holders[at] == c}
    assert len(set(in_the_end.values())) == len(in_the_end)
    for contact, address in wanted.items():
        holder = holders[address]
        # Who is refused an address is refused it for somebody who really has it.
        assert in_the_end[holder] == address
        if contact not in {*has} and holder == contact:
            assert in_the_end[contact] == address


def test_a_long_chain_is_gone_through_once():
    """An export whose column of addresses slipped by one row."""
    many = 200_000
    stored = {("acc", str(n)): f"c{n}" for n in range(many)}
    wanted = {f"c{n}": ("acc", str(n - 1)) for n in range(1, many)}

    holders = holders_after(wanted, stored)

    assert all(holders[at] == contact for at, contact in stored.items())
