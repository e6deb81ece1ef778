"""One contact of an address at an account: a person with two rows is one person."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from campaigns.domain.records import Contact
from campaigns.sources.blocks import RowError
from campaigns.steps.import_file import Import
from campaigns.store import records

Numbered = tuple[int, Contact]
Address = tuple[str, str]
"""An account, and the hash of an address: however it is written, it is the same."""


class Clash(NamedTuple):
    """A row whose address is another contact's."""

    row: Numbered
    holder: str


class SortedOut(NamedTuple):
    """Contacts that may be stored together, and those that may not."""

    good: list[Numbered]
    clashes: list[Clash]


def sort_out(work: Import, batch: Sequence[Numbered]) -> SortedOut:
    """Return which contacts are no second one of an address at their account.

    Who holds an address by the store, and gives it up here, does not hold it: so two
    contacts may swap theirs. Who clashes keeps what it had, and others may then clash
    with that.
    """
    addresses = {
        contact.id: (contact.account, work.place.address_hash(contact.email))
        for _, contact in batch
    }
    hashes = {address_hash for _, address_hash in addresses.values()}
    with work.place.sessions.begin() as session:
        stored = records.holders_of(session, hashes)
    good, clashes = list(batch), list[Clash]()
    while more := _clashes(good, addresses, stored):
        clashes += more
        clashing = {contact.id for (_, contact), _ in more}
        good = [row for row in good if row[1].id not in clashing]
    return SortedOut(good, clashes)


def _clashes(
    batch: Collection[Numbered],
    addresses: dict[str, Address],
    stored: dict[Address, str],
) -> list[Clash]:
    moving = {contact.id for _, contact in batch}
    taken: dict[Address, str] = {
        address: holder
        for address, holder in stored.items()
        if holder not in moving or addresses[holder] == address
    }
    holders = (
        Clash((n, contact), taken.setdefault(addresses[contact.id], contact.id))
        for n, contact in batch
    )
    return [clash for clash in holders if clash.holder != clash.row[1].id]


def reject(work: Import, clash: Clash) -> None:
    """List a row as rejected for its address."""
    number, contact = clash.row
    reason = f"is the address of contact {clash.holder!r} of this account already"
    work.reject(number, RowError("email", contact.email, reason))
