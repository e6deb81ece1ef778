"""The rows of a file that go into tables: batch by batch, each in a transaction."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from campaigns.domain.records import Suppression
from campaigns.domain.words import SuppressionReason
from campaigns.errors import InputError
from campaigns.sources.blocks import RowError
from campaigns.sources.rejects import RejectsFile
from campaigns.steps.import_file import Import
from campaigns.store import records, suppressions

_BATCH: Final = 5_000
_Numbered = tuple[int, Any]


def take(work: Import, *, rejects_file: Path) -> InputError | None:
    """Store a file's good rows, list the others; return the damage it ended at."""
    damage: list[InputError] = []
    with RejectsFile(rejects_file) as rejects:
        work.open_rejects(rejects)
        rows = work.good_rows(_rows_until_damage(work, damage))
        if work.kind == "suppressions":
            _take_suppressions(work, rows)
        else:
            _take_records(work, rows)
    return damage[0] if damage else None


def _rows_until_damage(work: Import, damage: list[InputError]) -> Iterator[Any]:
    try:
        for block in work.blocks():
            yield from block.rows()
    except InputError as error:
        damage.append(error)


def _take_records(work: Import, rows: Iterator[_Numbered]) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    holders: dict[tuple[str, str], str] = {}
    while batch := list(islice(rows, _BATCH)):
        first = _first_of_each(work, batch, seen)
        if work.kind == "contacts":
            first = _one_of_an_address(work, first, holders)
        found = [record for _, record in first]
        with work.place.sessions.begin() as session:
            stored = records.stored_hashes(session, work.kind, found)
            changed = [
                record
                for record in found
                if stored.get(records.key_of(work.kind, record))
                != records.content_hash(record)
            ]
            records.put(
                session, work.kind, changed, address_hash=work.place.address_hash
            )
        work.result.add(taken=len(changed), unchanged=len(found) - len(changed))


def _first_of_each(
    work: Import, batch: Sequence[_Numbered], seen: dict[tuple[Any, ...], str]
) -> list[_Numbered]:
    """Return the records whose key was not seen in this file; settle the others."""
    first: list[_Numbered] = []
    for number, record in batch:
        key, content = records.key_of(work.kind, record), records.content_hash(record)
        earlier = seen.setdefault(key, content)
        if earlier is content:
            first.append((number, record))
        elif earlier == content or work.mapper.is_distinct:
            work.result.add(unchanged=1)
        else:
            name = records.KEYS[work.kind][0]
            work.reject(
                number,
                RowError(name, key[0], "stands earlier in this file with other values"),
            )
    return first


def _one_of_an_address(
    work: Import, batch: Sequence[_Numbered], holders: dict[tuple[str, str], str]
) -> list[_Numbered]:
    """Return the contacts that are no second one of an address at their account.

    However it is written: a person with two rows is still one person.
    """
    hashes = [work.place.address_hash(contact.email) for _, contact in batch]
    with work.place.sessions.begin() as session:
        stored = records.holders_of(session, set(hashes))
    places = {
        contact.id: (contact.account, address)
        for (_, contact), address in zip(batch, hashes, strict=True)
    }
    # Who holds an address by the store, and gives it up here, does not hold it.
    stored = {at: id_ for at, id_ in stored.items() if places.get(id_, at) == at}
    left: list[_Numbered] = []
    for number, contact in batch:
        at = places[contact.id]
        holder = stored.get(at) or holders.setdefault(at, contact.id)
        if holder == contact.id:
            left.append((number, contact))
        else:
            reason = f"is the address of contact {holder!r} of this account already"
            work.reject(number, RowError("email", contact.email, reason))
    return left


def _take_suppressions(work: Import, rows: Iterator[_Numbered]) -> None:
    while batch := list(islice(rows, _BATCH)):
        new: dict[str, tuple[SuppressionReason, Any]] = {}
        for _, each in batch:
            new.setdefault(_hash_of(work, each), (each.reason, each.at))
        with work.place.sessions.begin() as session:
            taken = suppressions.add(session, new)
        work.result.add(taken=taken, unchanged=len(batch) - taken)


def _hash_of(work: Import, suppression: Suppression) -> str:
    if suppression.email is None:
        return suppression.hash or ""
    return work.place.address_hash(suppression.email)
