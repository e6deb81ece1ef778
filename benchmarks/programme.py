"""Programmes of any size, written straight into the tables."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import starmap
from pathlib import Path

from sqlalchemy import insert

from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.definitions import STAYS
from campaigns.rules.eligibility import DORMANCIES
from campaigns.steps.compare import Baseline
from campaigns.steps.verdicts import Reporting
from campaigns.store import (
    campaigns,
    cohorts,
)
from campaigns.store.schema import upgrade
from campaigns.store.session import make_sessions, open_engine
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.tables.operations import InstanceRow
from campaigns.store.tables.programme import (
    CampaignRow,
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    OutcomeRow,
    ScoreRow,
    StayRow,
)
from campaigns.store.tables.records import (
    AccountRow,
    ContactRow,
    ImportRunRow,
    SubscriptionRow,
)
from campaigns.store.usage import UsageLake
from tests.factories import NOON, campaign

PIECE = 20_000
COHORTS = 52
END = NOON + timedelta(weeks=COHORTS + 9)
PERSONAS = ("Engineering", "Finance", "Operations", "Sales", None)
SEGMENTS = ("slow-fade", "never-activated", "blocked-integration", "general")


def _write(session, row, values: Iterable[dict]) -> None:
    piece: list[dict] = []
    for value in values:
        piece.append(value)
        if len(piece) == PIECE:
            session.execute(insert(row), piece)
            piece = []
    if piece:
        session.execute(insert(row), piece)


def _churned_accounts(session, accounts: int) -> None:
    """Write accounts with a contact each that left ten days ago, scored."""
    _write(session, AccountRow, map(_account, range(accounts)))
    _write(session, ContactRow, map(_contact, range(accounts)))
    _write(session, EpisodeRow, map(_episode, range(accounts)))
    _write(session, ScoreRow, map(_score, range(accounts)))


def _account(n: int) -> dict:
    return {
        "id": f"acc-{n:07}",
        "name": f"A{n}",
        "persona": PERSONAS[n // 11 % len(PERSONAS)],
        "attributes": {},
        "content_hash": "",
    }


def _contact(n: int) -> dict:
    return {
        "id": f"p-{n:07}",
        "account": f"acc-{n:07}",
        "email": f"p{n}@example.com",
        "address_hash": f"{n:064x}",
        "is_admin": True,
        "content_hash": "",
    }


def _episode(n: int) -> dict:
    return {
        "id": n + 1,
        "account": f"acc-{n:07}",
        "sequence": 1,
        "churned_at": NOON - timedelta(days=10 + n % 200),
        "definition": "ended",
    }


def _score(n: int) -> dict:
    return {
        "as_of": NOON,
        "account": f"acc-{n:07}",
        "segment": SEGMENTS[n % len(SEGMENTS)],
        "confidence": 0.9,
        "reasons": ["because"],
        "facts": {},
        "model": "m",
    }


def opened(folder: Path):
    engine = open_engine(f"sqlite:///{folder / 'bench.db'}")
    upgrade(engine)
    return make_sessions(engine)


def launched(folder: Path, *, accounts: int):
    """Return the sessions of a programme, and the one cohort that is due."""
    sessions = opened(folder)
    definition = campaign(steps=2)
    with sessions.begin() as session:
        _churned_accounts(session, accounts)
        campaigns.apply(session, definition, now=NOON)
        campaigns.launch(session, definition.name, cohorts=[NOON], now=NOON)
        (cohort,) = cohorts.due_cohorts(session, now=NOON)
    return sessions, cohort


def settled_programme(folder: Path, *, enrolments: int) -> Reporting:
    """Return what a report is made with, of a programme whose windows have closed."""
    sessions = opened(folder)
    with sessions.begin() as session:
        session.add(InstanceRow(id=1, name="bench", created_at=NOON))
        _churned_accounts(session, enrolments)
        campaigns.apply(session, campaign(), now=NOON)
        moments = [NOON + timedelta(weeks=number) for number in range(COHORTS)]
        campaigns.launch(session, "spring", cohorts=moments, now=NOON)
        for number, moment in enumerate(moments, start=1):
            row = session.get_one(CohortRow, number)
            row.enrolled_at = moment
            row.window_ends_at = moment + timedelta(days=30)
            row.churned = enrolments // COHORTS
        session.flush()
        _write(session, HoldoutRow, map(_arm, range(enrolments)))
        _write(session, EnrolmentRow, starmap(_enrolment, _weeks(enrolments)))
        _write(session, MessageRow, _messages(enrolments))
        _write(session, AttemptRow, _attempts(enrolments))
        _write(session, OutcomeRow, starmap(_outcome, _weeks(enrolments)))
        _write(session, StayRow, _stays(enrolments))
        _write(session, SubscriptionRow, _subscriptions(enrolments))
        session.add(
            ImportRunRow(
                kind="usage", file="u", sha256="", started_at=END,
                finished_at=END, taken=1, unchanged=0, rejected=0,
            )
        )  # fmt: skip
    win_back = WinBackSettings().definition()
    churn = ChurnSettings().definition()
    titles = {name: name for name in SEGMENTS}
    lake = UsageLake(folder / "usage")
    return Reporting(sessions, lake, "Bench", churn, win_back, Baseline(0.12), titles)


def planned(url: str, *, mails: int) -> None:
    """Write a programme whose mails are all due, none of them posted."""
    engine = open_engine(url)
    upgrade(engine)
    with make_sessions(engine).begin() as session:
        session.add(InstanceRow(id=1, name="bench", created_at=NOON))
        _churned_accounts(session, mails)
        campaigns.apply(session, campaign(), now=NOON)
        campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)
        session.get_one(CampaignRow, "spring").may_post = None
        cohort = session.get_one(CohortRow, 1)
        cohort.enrolled_at = NOON
        session.flush()
        _write(session, HoldoutRow, (_arm(n) | TREATED for n in range(mails)))
        _write(session, EnrolmentRow, (_enrolment(n, 0) | DUE for n in range(mails)))
        _write(session, MessageRow, (_message(n) for n in range(mails)))
    engine.dispose()


TREATED = {"arm": "treated"}
DUE = TREATED | {"score": 1}


def _is_held_out(n: int) -> bool:
    return n % 5 == 0


def _arm(n: int) -> dict:
    arm = "holdout" if _is_held_out(n) else "treated"
    account = f"acc-{n:07}"
    return {"account": account, "arm": arm, "stratum": "s", "assigned_at": NOON}


def _weeks(enrolments: int) -> Iterator[tuple[int, int]]:
    """Yield accounts in the order in which they are enrolled, and in which week."""
    for n in range(enrolments):
        yield n, n * COHORTS // enrolments


def _enrolment(n: int, week: int) -> dict:
    enrolled = NOON + timedelta(weeks=week)
    return {
        "id": n + 1,
        "campaign": "spring",
        "campaign_version": 1,
        "cohort": week + 1,
        "account": f"acc-{n:07}",
        "episode": n + 1,
        "contact": f"p-{n:07}",
        "contact_choice": "only_contact",
        "arm": "holdout" if _is_held_out(n) else "treated",
        "segment": SEGMENTS[n // COHORTS % len(SEGMENTS)],
        "stratum": f"s · {DORMANCIES[n // 7 % len(DORMANCIES)]}",
        "persona": PERSONAS[n // 11 % len(PERSONAS)],
        "enrolled_at": enrolled,
        "window_ends_at": enrolled + timedelta(days=30),
    }


def _messages(enrolments: int) -> Iterator[dict]:
    for n in range(enrolments):
        if not _is_held_out(n):
            delivery = "bounced" if n % 50 == 1 else "delivered"
            yield _message(n) | {"state": "accepted", "delivery": delivery}


def _attempts(enrolments: int) -> Iterator[dict]:
    for n, week in _weeks(enrolments):
        if not _is_held_out(n):
            posted_at = NOON + timedelta(weeks=week, days=1)
            yield {"message": n + 1, "number": 1, "worker": "w", "posted_at": posted_at}


def _message(n: int) -> dict:
    return {
        "id": n + 1,
        "enrolment": n + 1,
        "campaign": "spring",
        "episode": n + 1,
        "step": 1,
        "template": "general",
        "contact": f"p-{n:07}",
        "address_hash": f"{n:064x}",
        "due_at": NOON,
    }


def _came_back(n: int) -> bool:
    return n % 7 == 0 if _is_held_out(n) else n % 6 == 0


def _outcome(n: int, week: int) -> dict:
    returned_at = NOON + timedelta(weeks=week, days=9)
    return {
        "enrolment": n + 1,
        "definition": "d",
        "came_back": _came_back(n),
        "returned_at": returned_at if _came_back(n) else None,
        "settled_at": NOON,
    }


def _stays(enrolments: int) -> Iterator[dict]:
    for n in filter(_came_back, range(enrolments)):
        for days in STAYS:
            yield {"enrolment": n + 1, "days": days, "is_here": n % 8 != 0}


def _subscriptions(enrolments: int) -> Iterator[dict]:
    for n, week in _weeks(enrolments):
        if not _came_back(n):
            continue
        yield {
            "id": f"s-{n:07}",
            "account": f"acc-{n:07}",
            "plan": "Team",
            "plan_is_free": False,
            "mrr_minor": 1000 + n % 9000,
            "currency": "EUR",
            "started_at": NOON + timedelta(weeks=week, days=9),
            "content_hash": "",
        }
