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
from campaigns.steps.take_contacts import Contacts
from campaigns.store import contracts, records, suppressions
from campaigns.store.seen import Seen, nothing_seen
from campaigns.store.session import Session

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
    with nothing_seen(work.place.rejects_folder) as seen:
        batches = _batches(_first_of_each(work, rows, seen))
        if work.kind == "contacts":
            _take_contacts(work, batches)
            return
        for batch in batches:
            _store(work, batch)


def _batches(rows: Iterator[_Numbered]) -> Iterator[list[_Numbered]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _first_of_each(
    work: Import, rows: Iterator[_Numbered], seen: Seen
) -> Iterator[_Numbered]:
    """Yield the records whose key was not seen in this file; settle the others."""
    for number, record in rows:
        key, content = records.key_of(work.kind, record), records.content_hash(record)
        earlier = seen.first("\x1f".join(map(str, key)), content)
        if earlier is None:
            yield number, record
        elif earlier == content or work.mapper.is_distinct:
            work.result.add(unchanged=1)
        else:
            name = records.KEYS[work.kind][0]
            work.reject(
                number,
                RowError(name, key[0], "stands earlier in this file with other values"),
            )


def _store(work: Import, batch: Sequence[_Numbered]) -> None:
    found = [record for _, record in batch]
    with work.place.sessions.begin() as session:
        stored = records.stored_hashes(session, work.kind, found)
        changed = [
            record
            for record in found
            if stored.get(records.key_of(work.kind, record))
            != records.content_hash(record)
        ]
        _put(session, work, changed)
    work.result.add(taken=len(changed), unchanged=len(found) - len(changed))


def _put(session: Session, work: Import, changed: Sequence[Any]) -> None:
    are_contracts = work.kind == "subscriptions"
    if are_contracts:
        contracts.set_aside(session, changed, now=work.place.clock())
    records.put(session, work.kind, changed, address_hash=work.place.address_hash)
    if are_contracts:
        contracts.resume(session, [each.id for each in changed])


def _take_contacts(work: Import, batches: Iterator[list[_Numbered]]) -> None:
    contacts = Contacts(work)
    for batch in batches:
        _store(work, contacts.sort_out(batch))
    for batch in _batches(iter(contacts.settle())):
        _store(work, batch)


def _take_suppressions(work: Import, rows: Iterator[_Numbered]) -> None:
    for batch in _batches(rows):
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
