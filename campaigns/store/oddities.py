"""What is odd about imported data: each oddity a query over all records and all use.

Nothing here is wrong enough to be rejected, and nothing is changed. A reader is told
how much of it there is, where, and what Winback makes of it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.store.tables.records import (
    AccountRow,
    ContactRow,
    ImportRunRow,
    LabelRow,
    MailingRow,
    NpsRow,
    SubscriptionRow,
    TicketRow,
)
from campaigns.store.usage import UsageLake

_MOMENT: Final = pl.Datetime("us", "UTC")
_TEXT: Final = pl.String
_SHOWN: Final = 3
_FORMULA: Final = r"^\s*[=+\-@|]"
_TABLES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "accounts": (AccountRow, {"id": _TEXT, "name": _TEXT, "created_at": _MOMENT}),
    "contacts": (
        ContactRow,
        {"id": _TEXT, "account": _TEXT, "address_hash": _TEXT, "first_name": _TEXT},
    ),
    "subscriptions": (
        SubscriptionRow,
        {
            "id": _TEXT,
            "account": _TEXT,
            "plan_is_free": pl.Boolean,
            "mrr_minor": pl.Int64,
            "started_at": _MOMENT,
            "ended_at": _MOMENT,
            "end_kind": _TEXT,
            "resumed_as": _TEXT,
            "merged_into": _TEXT,
        },
    ),
    "tickets": (TicketRow, {"id": _TEXT, "account": _TEXT, "opened_at": _MOMENT}),
    "nps": (NpsRow, {"account": _TEXT, "at": _MOMENT, "contact": _TEXT}),
    "mailings": (MailingRow, {"account": _TEXT, "at": _MOMENT}),
    "labels": (LabelRow, {"account": _TEXT, "as_of": _MOMENT}),
}


class Oddity(NamedTuple):
    """Something odd, as far as it is found.

    Attributes:
        name: What it is.
        odd: How many records show it.
        of: Of how many.
        records: What is counted.
        examples: Ids of some of them.
        meaning: What Winback makes of it.
    """

    name: str
    odd: int
    of: int
    records: str
    examples: tuple[str, ...]
    meaning: str


class FileOfRecords(NamedTuple):
    """What became of the rows of a file, at its latest import."""

    kind: str
    file: str
    taken: int
    unchanged: int
    rejected: int
    error: str | None


def files(session: Session) -> list[FileOfRecords]:
    """Return the latest import of each file, by kind and name."""
    rows = session.scalars(select(ImportRunRow).order_by(ImportRunRow.id))
    latest = {(row.kind, row.file): row for row in rows}
    return [
        FileOfRecords(
            row.kind, row.file, row.taken, row.unchanged, row.rejected, row.error
        )
        for _, row in sorted(latest.items())
    ]


def find(session: Session, lake: UsageLake, *, now: datetime) -> list[Oddity]:
    """Return the oddities there are, in the order a reader would look for them."""
    tables = {name: _read(session, name) for name in _TABLES}
    usage = lake.scan(before=now)
    found = [
        *_of_usage(usage, tables),
        *_of_subscriptions(tables, now),
        *_of_endings(tables, now),
        *_of_accounts(tables, usage),
        *_of_contacts(tables, usage),
    ]
    return [each for each in found if each.odd]


def _read(session: Session, name: str) -> pl.DataFrame:
    row, columns = _TABLES[name]
    query = select(*(getattr(row, column) for column in columns))
    found = [tuple(each) for each in session.execute(query)]
    return pl.DataFrame(found, schema=columns, orient="row")


Tables = Mapping[str, pl.DataFrame]


def _oddity(
    name: str, odd: pl.DataFrame, of: pl.DataFrame, records: str, meaning: str
) -> Oddity:
    column = "id" if "id" in odd.columns else "account"
    examples = odd[column].unique().sort().head(_SHOWN).to_list()
    return Oddity(name, odd.height, of.height, records, tuple(examples), meaning)


def _of_usage(usage: pl.LazyFrame, tables: Tables) -> Iterator[Oddity]:
    """Yield what events disagree with: contracts, sign-ups, contacts."""
    span = (
        tables["subscriptions"]
        .group_by("account")
        .agg(
            first=pl.col("started_at").min(),
            # Without an end is later than any end.
            last=pl.when(pl.col("ended_at").is_null().any())
            .then(None)
            .otherwise(pl.col("ended_at").max()),
        )
    )
    created = tables["accounts"].select(account="id", created_at="created_at")
    joined = usage.join(created.lazy(), on="account", how="left").join(
        span.lazy(), on="account", how="left"
    )
    at = pl.col("at")
    kinds = {
        "use before the first subscription": (
            at < pl.col("first"),
            "a trial or a wrong start date; it counts as use",
        ),
        "use after the last subscription ended": (
            at >= pl.col("last"),
            "after a churn it counts as a return, where use counts",
        ),
        "use by accounts without any subscription": (
            pl.col("first").is_null(),
            "these churn by silence only",
        ),
        "use before sign-up": (
            at < pl.col("created_at"),
            "tenure begins with the first event then",
        ),
    }
    by_account = (
        joined.group_by("account")
        .agg(
            pl.len().alias("events"),
            *(is_odd.sum().alias(name) for name, (is_odd, _) in kinds.items()),
        )
        .sort("account")
        .collect(engine="streaming")
    )
    total = int(by_account["events"].sum())
    for name, (_, meaning) in kinds.items():
        count = int(by_account[name].sum())
        examples = by_account.filter(pl.col(name) > 0)["account"].head(_SHOWN)
        yield Oddity(name, count, total, "events", tuple(examples), meaning)


def _of_subscriptions(tables: Tables, now: datetime) -> Iterator[Oddity]:
    """Yield what subscriptions of one account say against each other."""
    paid = tables["subscriptions"].filter(~pl.col("plan_is_free"))
    ended = paid.filter(pl.col("ended_at") < now)
    others = paid.select(
        "account", other="id", begins="started_at", ends=pl.col("ended_at")
    )
    both = paid.join(others, on="account").filter(pl.col("id") != pl.col("other"))
    still_runs = pl.col("ends").is_null() | (pl.col("ends") > pl.col("ended_at"))
    live = both.filter(
        pl.col("ended_at") < now, pl.col("begins") <= pl.col("ended_at"), still_runs
    )
    yield _oddity(
        "ended while another paid one ran",
        live.unique("id"),
        ended,
        "ended subscriptions",
        "no churn: an account has churned when its last paid one ended",
    )
    overlap = both.filter(
        pl.col("begins") < pl.col("started_at"),
        pl.col("ends").is_null() | (pl.col("ends") > pl.col("started_at")),
    )
    yield _oddity(
        "begun while an earlier paid one ran",
        overlap.unique("id"),
        paid,
        "paid subscriptions",
        "seats and price are those of the one begun last",
    )
    labels = tables["labels"]
    labelled = labels.join(paid, on="account").filter(
        pl.col("started_at") <= pl.col("as_of"),
        pl.col("ended_at").is_null() | (pl.col("ended_at") > pl.col("as_of")),
    )
    yield _oddity(
        "said to have left while a paid one ran",
        labelled.select("account", "as_of").unique(),
        labels,
        "labels",
        "learnt from only if the account has churned by then",
    )


def _of_endings(tables: Tables, now: datetime) -> Iterator[Oddity]:
    """Yield what single subscriptions leave open."""
    every = tables["subscriptions"]
    paid = every.filter(~pl.col("plan_is_free"))
    ended = paid.filter(pl.col("ended_at") < now)
    yield _oddity(
        "ended, and nobody says how",
        ended.filter(pl.col("end_kind").is_null()),
        ended,
        "ended subscriptions",
        "taken as voluntary; say dunning or merged where it was",
    )
    yield _oddity(
        "paid again under an id that had ended or was free",
        every.filter(pl.col("resumed_as").is_not_null()).select(id="resumed_as"),
        paid,
        "paid subscriptions",
        "back when the import showed it; what was before is kept apart",
    )
    accounts = tables["accounts"].select(merged_into="id")
    merged = every.filter(pl.col("merged_into").is_not_null())
    yield _oddity(
        "merged into an account that is not there",
        merged.join(accounts, on="merged_into", how="anti"),
        merged,
        "mergers",
        "no churn all the same; import the other account too",
    )
    yield _oddity(
        "paid, and without a price",
        paid.filter(pl.col("mrr_minor").fill_null(0) == 0),
        paid,
        "paid subscriptions",
        "no money is counted for these",
    )


def _of_accounts(tables: Tables, usage: pl.LazyFrame) -> Iterator[Oddity]:
    accounts = tables["accounts"]
    for column in ("id", "name"):
        folded = pl.col(column).str.strip_chars().str.to_lowercase()
        twice = accounts.filter(folded.is_duplicated() & folded.is_not_null())
        yield _oddity(
            f"the same {column} but for case",
            twice,
            accounts,
            "accounts",
            "kept apart: two rows are two accounts",
        )
    used = usage.select(pl.col("account").unique()).collect(engine="streaming")
    lacking = {
        "without a subscription": (
            tables["subscriptions"].select("account"),
            "these churn by silence only",
        ),
        "without any use": (used, "segments can say little of these"),
        "without a contact": (
            tables["contacts"].select("account"),
            "nobody can be written to: refused with no_contact",
        ),
    }
    for name, (having, meaning) in lacking.items():
        odd = accounts.join(having, left_on="id", right_on="account", how="anti")
        yield _oddity(name, odd, accounts, "accounts", meaning)
    yield _oddity(
        "a name that a spreadsheet would run",
        accounts.filter(pl.col("name").str.contains(_FORMULA)),
        accounts,
        "accounts",
        "kept as it is, escaped in every CSV of ours",
    )
    created = accounts.select(account="id", created_at="created_at")
    tickets = tables["tickets"]
    early = tickets.join(created, on="account").filter(
        pl.col("opened_at") < pl.col("created_at")
    )
    yield _oddity(
        "opened before sign-up", early, tickets, "tickets", "counted all the same"
    )


def _of_contacts(tables: Tables, usage: pl.LazyFrame) -> Iterator[Oddity]:
    contacts = tables["contacts"]
    accounts_of = contacts.group_by("address_hash").agg(pl.col("account").n_unique())
    shared = accounts_of.filter(pl.col("account") > 1).select("address_hash")
    yield _oddity(
        "an address that several accounts share",
        contacts.join(shared, on="address_hash", how="semi"),
        contacts,
        "contacts",
        "these accounts are one unit of the holdout, and get one mail",
    )
    named = usage.select(pl.col("contact").drop_nulls().unique()).collect(
        engine="streaming"
    )
    strangers = named.join(contacts, left_on="contact", right_on="id", how="anti")
    yield _oddity(
        "named by use, and not imported",
        strangers.rename({"contact": "id"}),
        named,
        "people in the usage",
        "they count as active users, and cannot be written to",
    )
