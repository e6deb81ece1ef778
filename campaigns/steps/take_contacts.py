"""One contact of an address at an account: a person with two rows is one person."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from campaigns.domain.records import Contact
from campaigns.sources.blocks import RowError
from campaigns.steps.import_file import Import
from campaigns.store import records

Numbered = tuple[int, Contact]
Address = tuple[str, str]
"""An account, and the hash of an address: however it is written, it is the same."""


class SortedOut(NamedTuple):
    """Contacts that may be stored together, and those that may not.

    Attributes:
        good: In the given order.
        clashes: The others, each with the contact that has its address.
    """

    good: list[Numbered]
    clashes: list[tuple[Numbered, str]]


class Contacts:
    """A file's contacts: who may have which address.

    Whose address is another's by the store waits for the end of the file: the other one
    may give it up in a later row. So contacts may swap addresses however far apart they
    stand; of two rows with one address the first counts.

    Args:
        work: The import.
    """

    def __init__(self, work: Import) -> None:
        self._work = work
        self._waiting: list[Numbered] = []
        self._waited_for: set[Address] = set()

    def sort_out(self, batch: Sequence[Numbered]) -> list[Numbered]:
        """Return the contacts that can be stored at once; the others wait."""
        is_free = {row[0]: self._address(row) not in self._waited_for for row in batch}
        good, clashes = self._sorted([row for row in batch if is_free[row[0]]])
        waiting = [row for row in batch if not is_free[row[0]]]
        waiting += [row for row, _ in clashes]
        self._waiting += sorted(waiting, key=lambda row: row[0])
        self._waited_for |= {self._address(row) for row in waiting}
        return good

    def settle(self) -> list[Numbered]:
        """Return those who waited and may be stored, and reject the others."""
        good, clashes = self._sorted(self._waiting)
        for (number, contact), holder in clashes:
            reason = f"is the address of contact {holder!r} of this account already"
            self._work.reject(number, RowError("email", contact.email, reason))
        return good

    def _sorted(self, rows: Sequence[Numbered]) -> SortedOut:
        addresses = {row[1].id: self._address(row) for row in rows}
        hashes = {address_hash for _, address_hash in addresses.values()}
        with self._work.place.sessions.begin() as session:
            stored = records.holders_of(session, hashes)
        holders = holders_after(addresses, stored)
        holder_of = [(row, holders[addresses[row[1].id]]) for row in rows]
        return SortedOut(
            [row for row, holder in holder_of if holder == row[1].id],
            [(row, holder) for row, holder in holder_of if holder != row[1].id],
        )

    def _address(self, row: Numbered) -> Address:
        return row[1].account, self._work.place.address_hash(row[1].email)


def holders_after(
    wanted: Mapping[str, Address], stored: Mapping[Address, str]
) -> dict[Address, str]:
    """Return who has each address once contacts got what they may have.

    A contact that gets another address gives up the one it has. Who does not get it
    keeps what it has, and so takes that from whoever wanted it, and so on.

    Args:
        wanted: The address that each contact wants, the first contact first.
        stored: Who has each of these addresses now.

    >>> holders_after({"c1": ("a", "y"), "c2": ("a", "x")}, {("a", "x"): "c1"})
    {('a', 'y'): 'c1', ('a', 'x'): 'c2'}
    """
    has = defaultdict(list)
    holders: dict[Address, str] = {}
    for address, contact in stored.items():
        has[contact].append(address)
        if wanted.get(contact, address) == address:
            holders[address] = contact
    for contact, address in wanted.items():
        holders.setdefault(address, contact)
    left_out = [
        contact for contact, address in wanted.items() if holders[address] != contact
    ]
    for contact in left_out:  # grows while it is gone through
        for kept in has[contact]:
            displaced = holders.get(kept, contact)
            holders[kept] = contact
            if displaced != contact:
                left_out.append(displaced)
    return holders
