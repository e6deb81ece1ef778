"""Records as rows: what was imported, and whether a row changes anything."""

import json
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import datetime
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypeVar

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from campaigns.domain.records import Contact, Record
from campaigns.domain.values import (
    AccountActivity,
    CandidateContact,
    ReleaseNote,
    SubscriptionSpan,
)
from campaigns.domain.words import EndKind
from campaigns.store.tables.base import Base
from campaigns.store.tables.delivery import SnoozeRow, SuppressionRow
from campaigns.store.tables.programme import EpisodeRow
from campaigns.store.tables.records import (
    AccountRow,
    ContactRow,
    LabelRow,
    MailingRow,
    NpsRow,
    ReleaseRow,
    SubscriptionRow,
    TicketRow,
)
from campaigns.store.upserts import upsert

AddressHash = Callable[[str], str]
T = TypeVar("T")

_AT_ONCE: Final = 10_000
_MANY: Final = 500
"""Values in one IN (…), well below SQLite's limit."""

ROWS: Final[dict[str, type[Base]]] = {
    "accounts": AccountRow,
    "contacts": ContactRow,
    "subscriptions": SubscriptionRow,
    "tickets": TicketRow,
    "nps": NpsRow,
    "mailings": MailingRow,
    "labels": LabelRow,
    "releases": ReleaseRow,
}
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "accounts": ("id",),
    "contacts": ("id",),
    "subscriptions": ("id",),
    "tickets": ("id",),
    "nps": ("account", "at", "contact"),
    "mailings": ("account", "at"),
    "labels": ("account", "as_of", "by"),
    "releases": ("id",),
}


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut `values` into pieces that fit one statement."""
    for start in range(0, len(values), _MANY):
        yield values[start : start + _MANY]


def key_of(kind: str, record: Record) -> tuple[Any, ...]:
    """Return what identifies `record` among its kind."""
    return tuple(getattr(record, name) for name in KEYS[kind])


def content_hash(record: Record) -> str:
    """Return a hash of all values of `record`: equal records have equal hashes."""
    content = json.dumps(record.model_dump(), sort_keys=True, default=str)
    return blake2b(content.encode(), digest_size=16).hexdigest()


def stored_hashes(
    session: Session, kind: str, records: Sequence[Record]
) -> dict[tuple[Any, ...], str]:
    """Return the content hashes of those of `records` that are stored, by their key."""
    row: Any = ROWS[kind]
    columns = [getattr(row, name) for name in KEYS[kind]]
    first = [getattr(record, KEYS[kind][0]) for record in records]
    found: dict[tuple[Any, ...], str] = {}
    for piece in chunks(first):
        query = select(*columns, row.content_hash).where(columns[0].in_(piece))
        for *key, stored in session.execute(query):
            found[tuple(key)] = stored
    return found


def put(
    session: Session, kind: str, records: Sequence[Record], *, address_hash: AddressHash
) -> None:
    """Store `records`, replacing those that exist under the same key."""
    values = [_row_values(record, address_hash) for record in records]
    upsert(session, ROWS[kind], values, key=KEYS[kind])


def _row_values(record: Record, address_hash: AddressHash) -> dict[str, Any]:
    values = record.model_dump()
    values["content_hash"] = content_hash(record)
    if isinstance(record, Contact):
        values["address_hash"] = address_hash(record.email)
    if "tags" in values:
        values["tags"] = list(values["tags"])
    return values


def account_ids(session: Session) -> set[str]:
    """Return the ids of all accounts."""
    return set(session.scalars(select(AccountRow.id)))


def accounts_through(session: Session, kind: str) -> dict[str, str]:
    """Return the account of every subscription or contact, by its id."""
    row: Any = ROWS[kind]
    return dict(session.execute(select(row.id, row.account)).all())


def holders_of(session: Session, hashes: Collection[str]) -> dict[tuple[str, str], str]:
    """Return the contact that has an address at an account, by account and hash."""
    found = {}
    for piece in chunks(sorted(hashes)):
        query = (
            select(ContactRow.account, ContactRow.address_hash, ContactRow.id)
            .where(ContactRow.address_hash.in_(piece))
            .order_by(ContactRow.id.desc())
        )
        found.update({(row[0], row[1]): row[2] for row in session.execute(query)})
    return found


_SPANS = select(
    SubscriptionRow.account,
    SubscriptionRow.started_at,
    SubscriptionRow.ended_at,
    SubscriptionRow.end_kind,
    SubscriptionRow.plan_is_free,
).order_by(SubscriptionRow.account, SubscriptionRow.started_at)


def spans_by_account(
    session: Session, *, before: datetime
) -> dict[str, tuple[SubscriptionSpan, ...]]:
    """Return the subscriptions begun before a moment, by account."""
    query = _SPANS.where(SubscriptionRow.started_at < before)
    return _by_account(session.execute(query))


def spans_of(
    session: Session, accounts: Collection[str]
) -> dict[str, tuple[SubscriptionSpan, ...]]:
    """Return the subscriptions of `accounts`, by account."""
    found = {}
    for piece in chunks(sorted(accounts)):
        query = _SPANS.where(SubscriptionRow.account.in_(piece))
        found.update(_by_account(session.execute(query)))
    return found


def _by_account(
    rows: Iterable[Sequence[Any]],
) -> dict[str, tuple[SubscriptionSpan, ...]]:
    by_account = groupby(rows, key=itemgetter(0))
    return {account: tuple(map(_span, some)) for account, some in by_account}


def _span(row: Sequence[Any]) -> SubscriptionSpan:
    return SubscriptionSpan(*row[1:])


def spans_since_churn(
    session: Session, *, before: datetime
) -> dict[str, tuple[SubscriptionSpan, ...]]:
    """Return what accounts with an open episode subscribed to since they churned.

    Also what they had before and still had then: they fell silent while paying.
    """
    query = (
        select(
            SubscriptionRow.account,
            SubscriptionRow.started_at,
            SubscriptionRow.ended_at,
            SubscriptionRow.end_kind,
            SubscriptionRow.plan_is_free,
        )
        .join(EpisodeRow, EpisodeRow.account == SubscriptionRow.account)
        .where(
            EpisodeRow.returned_at.is_(None),
            SubscriptionRow.started_at < before,
            or_(
                SubscriptionRow.started_at >= EpisodeRow.churned_at,
                SubscriptionRow.ended_at > EpisodeRow.churned_at,
                SubscriptionRow.ended_at.is_(None),
            ),
        )
    )
    spans: dict[str, tuple[SubscriptionSpan, ...]] = {}
    for account, started_at, ended_at, end_kind, is_free in session.execute(query):
        span = SubscriptionSpan(started_at, ended_at, end_kind, plan_is_free=is_free)
        spans[account] = (*spans.get(account, ()), span)
    return spans


def merged_since_churn(session: Session, *, before: datetime) -> dict[str, datetime]:
    """Return when others were first merged into accounts with an open episode."""
    query = (
        select(SubscriptionRow.merged_into, func.min(SubscriptionRow.ended_at))
        .join(EpisodeRow, EpisodeRow.account == SubscriptionRow.merged_into)
        .where(
            EpisodeRow.returned_at.is_(None),
            SubscriptionRow.end_kind == EndKind.MERGED,
            SubscriptionRow.ended_at >= EpisodeRow.churned_at,
            SubscriptionRow.ended_at < before,
        )
        .group_by(SubscriptionRow.merged_into)
    )
    return {account: at for account, at in session.execute(query) if account and at}


def merges(session: Session, *, before: datetime) -> dict[str, list[datetime]]:
    """Return when others were merged into accounts, by account and in order."""
    query = (
        select(SubscriptionRow.merged_into, SubscriptionRow.ended_at)
        .where(
            SubscriptionRow.end_kind == EndKind.MERGED,
            SubscriptionRow.ended_at < before,
        )
        .order_by(SubscriptionRow.ended_at)
    )
    found: dict[str, list[datetime]] = {}
    for account, at in session.execute(query):
        if account and at:
            found.setdefault(account, []).append(at)
    return found


def activities(
    session: Session, last_used: Mapping[str, datetime], *, before: datetime
) -> Iterator[AccountActivity]:
    """Yield what is known of every account's payments and use, in any order."""
    query = _SPANS.where(SubscriptionRow.started_at < before)
    rows = session.execute(query.execution_options(yield_per=_AT_ONCE))
    others = account_ids(session)
    for account, some in groupby(rows, key=itemgetter(0)):
        others.discard(account)
        yield AccountActivity(account, tuple(map(_span, some)), last_used.get(account))
    for account in others:
        yield AccountActivity(account, (), last_used.get(account))


def contacts_of(
    session: Session, accounts: Collection[str], *, now: datetime
) -> dict[str, list[CandidateContact]]:
    """Return the contacts of `accounts`, with whether each is suppressed or at rest."""
    found: dict[str, list[CandidateContact]] = {}
    for piece in chunks(sorted(accounts)):
        query = (
            select(
                ContactRow.id,
                ContactRow.account,
                ContactRow.address_hash,
                ContactRow.is_admin,
                ContactRow.last_active_at,
                ContactRow.time_zone,
                or_(
                    SuppressionRow.address_hash.is_not(None),
                    SnoozeRow.address_hash.is_not(None),
                ),
            )
            .outerjoin(
                SnoozeRow,
                and_(
                    SnoozeRow.address_hash == ContactRow.address_hash,
                    SnoozeRow.until > now,
                ),
            )
            .outerjoin(
                SuppressionRow,
                SuppressionRow.address_hash == ContactRow.address_hash,
            )
            .where(ContactRow.account.in_(piece))
            .order_by(ContactRow.id)
        )
        for row in session.execute(query):
            found.setdefault(row[1], []).append(CandidateContact(*row))
    return found


def labels_before(session: Session, moment: datetime) -> list[tuple[str, str]]:
    """Return account and segment of each label given as of `moment` or earlier.

    Where an account has several, the latest counts.
    """
    query = (
        select(LabelRow.account, LabelRow.segment)
        .where(LabelRow.as_of <= moment)
        .order_by(LabelRow.account, LabelRow.as_of, LabelRow.by)
    )
    latest = dict(session.execute(query).all())
    return sorted(latest.items())


def releases_before(session: Session, moment: datetime) -> list[ReleaseNote]:
    """Return the product's releases up to `moment`, newest first."""
    query = (
        select(ReleaseRow)
        .where(ReleaseRow.date <= moment.date())
        .order_by(ReleaseRow.date.desc(), ReleaseRow.id)
    )
    return [
        ReleaseNote(row.date, row.title, row.text, tuple(row.tags), row.url)
        for row in session.scalars(query)
    ]
