"""Things to test with; a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import polars as pl
from sqlalchemy import text

from campaigns.domain.addresses import hash_address
from campaigns.domain.campaign import CampaignDefinition, Schedule
from campaigns.domain.records import Account, Contact, Subscription, Usage
from campaigns.domain.values import (
    GateFacts,
    ProviderEvent,
    ReceivedEvent,
    Score,
)
from campaigns.domain.words import Arm, CampaignState, EventKind, MessageState
from campaigns.mail.links import Tokens
from campaigns.rules.pacing import Policy
from campaigns.simulation import trials
from campaigns.steps.compose import Composer
from campaigns.steps.copies import CopyGuard
from campaigns.steps.desk import Desk
from campaigns.steps.enrol import Programme, enrol
from campaigns.store import (
    campaigns,
    cohorts,
    episodes,
    records,
    scores,
)
from campaigns.store.usage import SCHEMA, UsageLake, merge_day
from tests.fakes import MarkInMemory

ROOT = Path(__file__).resolve().parents[1]
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS = {"hours": (0, 24), "weekdays": WEEK}
address_hash = partial(hash_address, key=b"k" * 32)
_numbers = count(1)


def at(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def campaign(name="spring", steps=1, **parts) -> CampaignDefinition:
    all_steps = [{"template": "general"}]
    all_steps += [{"template": "general-follow-up", "days_after_previous": 5}] * (
        steps - 1
    )
    schedule = {"on": NOON, **ALWAYS, **parts.pop("schedule", {})}
    return CampaignDefinition.model_validate(
        {"name": name, "steps": all_steps, "schedule": schedule, **parts}
    )


def add_account(session, id_="acc-1", *, email=None, contacts=1, **fields):
    """Store an account with contacts that churned ten days before NOON, scored."""
    records.put(
        session,
        "accounts",
        [Account(id=id_, name=f"Company {id_}", **fields)],
        address_hash=address_hash,
    )
    people = [
        Contact(
            id=f"{id_}-p{number}",
            account=id_,
            email=email or f"p{number}@{id_}.example.com",
            first_name="Ada",
        )
        for number in range(1, contacts + 1)
    ]
    records.put(session, "contacts", people, address_hash=address_hash)


def churn(session, *accounts, days_ago=10, segment="general", now=NOON):
    """Open an episode for each account, and score it."""
    churned = dict.fromkeys(accounts, now - timedelta(days=days_ago))
    episodes.record_churn(session, churned, definition="ended")
    facts = {
        "last_used_at": (now - timedelta(days=days_ago + 3)).isoformat(),
        "features": ["reports.export"],
        "favourite_feature": "reports.export",
        "favourite_events": 12,
        "failing_integration": None,
        "failures": 0,
    }
    found = [Score(a, segment, 0.9, ("because",), facts) for a in accounts]
    scores.replace_batch(session, [found], as_of=now, model="m")


def programme(**changes) -> Programme:
    from campaigns.config import WinBackSettings

    settings = {
        "holdout_key": b"h" * 32,
        "holdout_share": 0.0,
        "win_back": WinBackSettings().definition(),
        "default_time_zone": "UTC",
    }
    return Programme(**(settings | changes))


def launch(sessions, definition=None, *, now=NOON, **changes) -> None:
    """Apply, launch and enrol a campaign whose one cohort is due now."""
    definition = definition or campaign()
    with sessions.begin() as session:
        campaigns.apply(session, definition, now=now)
        campaigns.launch(session, definition.name, cohorts=[now], now=now)
        (cohort,) = cohorts.due_cohorts(session, now=now)
    enrol(sessions, cohort, programme=programme(**changes), now=now)


def enrolled(sessions, accounts=("acc-1",), definition=None, **changes) -> None:
    """Store accounts and enrol them all."""
    with sessions.begin() as session:
        for account in accounts:
            add_account(session, account)
        churn(session, *accounts)
    launch(sessions, definition, **changes)


def composer() -> Composer:
    return trials.composer()._replace(
        tokens=Tokens({"1": b"t" * 32}),
        feature_words={"reports.export": "report export"},
    )


def guard(sessions, watermark=None) -> CopyGuard:
    """A guard of a database that began here."""
    made = CopyGuard(sessions, watermark or MarkInMemory())
    made.raise_mark()
    return made


def desk(sessions, ses, clock, **changes) -> Desk:
    settings = {
        "sessions": sessions,
        "send": lambda emails: [ses.send(email) for email in emails],
        "quota": ses.quota,
        "composer": composer(),
        "start": lambda act: act(),
        "senders": 4,
        "clock": clock,
        "sleep": lambda _seconds: None,
        "worker": "worker-1",
        "guard": changes.get("guard") or guard(sessions),
        "default_time_zone": "UTC",
        "policy": Policy(),
        "per_request": 1,
        "should_stop": lambda: False,
    }
    return Desk(**(settings | changes))


def provider_event(kind=EventKind.SEND, message=1, **changes) -> ProviderEvent:
    values = {
        "kind": kind,
        "ses_message_id": f"ses-{message}",
        "tags": {"wb_instance": "test", "wb_message": str(message)},
        "recipients": ("p1@acc-1.example.com",),
        "at": NOON,
        "mail_at": NOON,
    }
    return ProviderEvent(**(values | changes))


def received(event: ProviderEvent | None, *, envelope=None) -> ReceivedEvent:
    number = next(_numbers)
    return ReceivedEvent(f"r{number}", envelope or f"e{number}", "{}", event)


def gate_facts(**changes) -> GateFacts:
    values = {
        "message": 1,
        "campaign": "spring",
        "state": MessageState.PLANNED,
        "campaign_state": CampaignState.RUNNING,
        "arm": Arm.TREATED,
        "has_moved": False,
        "is_anothers": False,
        "is_suppressed": False,
        "snoozed_until": None,
        "has_returned": False,
        "window_ends_at": NOON + timedelta(days=30),
        "previous_state": None,
        "previous_settled_at": None,
        "days_after_previous": 0,
        "mails_today": 0,
        "mails_per_day": None,
        "posted": 0,
        "may_post": None,
        "time_zone": "UTC",
        "schedule": Schedule(on=NOON, **ALWAYS),
    }
    return GateFacts(**(values | changes))


def usage(account="acc-1", when="2025-12-01T10:00:00+00:00", **changes) -> Usage:
    values = {"account": account, "at": at(when), "feature": "reports.export"}
    return Usage.model_validate(values | changes)


def keep_usage(lake: UsageLake, *events: Usage) -> None:
    """Store events, as an import would."""
    rows = [
        {**event.model_dump(), "outcome": event.outcome.value, "properties": "{}"}
        for event in events
    ]
    frame = pl.DataFrame(rows, schema=SCHEMA).sort(SCHEMA.names())
    nothing = pl.Series(dtype=pl.String)
    for (day,), part in frame.group_by(pl.col("at").dt.date(), maintain_order=True):
        merge_day(lake, day, part, gone=nothing)


def subscription(account="acc-1", **changes) -> Subscription:
    values = {
        "id": f"sub-{next(_numbers)}",
        "account": account,
        "plan": "Team",
        "started_at": at("2025-01-01"),
    }
    return Subscription.model_validate(values | changes)


def states(sessions) -> list[tuple[str, str | None]]:
    """Return state and reason of every message, in order."""
    with sessions.begin() as session:
        query = text("SELECT state, reason FROM messages ORDER BY id")
        return [tuple(row) for row in session.execute(query)]


def words(sessions) -> list[str]:
    """Return the state of every message, in order."""
    return [state for state, _ in states(sessions)]


def contact_ids(sessions, account="acc-1") -> set[str]:
    """Return the ids of an account's contacts."""
    with sessions.begin() as session:
        query = text("SELECT id FROM contacts WHERE account = :account")
        return set(session.scalars(query, {"account": account}))
