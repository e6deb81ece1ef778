"""The company's history: accounts, people, contracts and use up to a day.

Every account draws from a generator of its own, seeded by the company's seed and its
number, so a company of 4,000 begins with the same accounts as one of 400.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from models.synthetic.names import FIRST, HEAD, LAST, ROLES, TAIL, ZONES
from models.synthetic.patterns import (
    FEATURES,
    PATTERNS,
    daily_activity,
    feature_weights,
)

_HISTORY_DAYS: Final = 420
_STAYING: Final = 0.26
_PLANS: Final = (("Starter", 4_900, 5), ("Team", 14_900, 15), ("Business", 39_900, 40))
_KINDS: Final = ("SMB", "mid-market", "enterprise")


@dataclass(slots=True)
class AccountTruth:
    """What only the world knows of an account.

    Attributes:
        id: The account's id.
        segment: How it truly behaves.
        left_on: The day its contract ended; None for one that stays.
        end_kind: How it ended.
        contacts: Its people's ids.
        plan: Its last plan, price in minor units and seats.
    """

    id: str
    segment: str
    left_on: date | None
    end_kind: str | None
    contacts: list[str]
    plan: tuple[str, int, int]


@dataclass(slots=True)
class Company:
    """A company's records, ready to be written as files, and the truth behind them."""

    launch: date
    accounts: list[dict[str, Any]] = field(default_factory=list)
    contacts: list[dict[str, Any]] = field(default_factory=list)
    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    nps: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, AccountTruth] = field(default_factory=dict)
    usage: pl.DataFrame = field(default_factory=pl.DataFrame)


def make_company(*, seed: int, accounts: int, launch: date, days_after: int) -> Company:
    """Return a company as it will be `days_after` days past the launch.

    Args:
        seed: The same seed makes the same company.
        accounts: How many accounts it ever had.
        launch: The day the first campaign may start: most have left by then.
        days_after: How many days of later use and leaving are prepared.
    """
    company = Company(launch)
    usage = []
    for number in range(accounts):
        rng = np.random.default_rng([seed, number])
        usage.append(_add_account(company, number, rng, days_after))
    company.usage = pl.concat(usage).sort("at", "account", "feature", "contact")
    return company


def _add_account(
    company: Company, number: int, rng: np.random.Generator, days_after: int
) -> pl.DataFrame:
    names = list(PATTERNS)
    weights = np.array([pattern.weight for pattern in PATTERNS.values()])
    segment = str(rng.choice(names, p=weights / weights.sum()))
    stays = segment != "never-activated" and rng.random() < _STAYING
    tenure = int(rng.integers(*PATTERNS[segment].tenure_days))
    left = days_after if stays else int(rng.integers(-_HISTORY_DAYS + 120, days_after))
    if stays:
        segment = "price-sensitive"  # steady use, and no price to leave over
        tenure = int(rng.integers(60, _HISTORY_DAYS))
    notice = int(rng.integers(1, 18))
    began = company.launch + timedelta(days=left - notice - tenure)
    account = _add_people(company, number, segment, began, rng)
    account.left_on = None if stays else company.launch + timedelta(days=left)
    _add_contract(company, account, began, rng)
    _add_voices(company, account, began, rng)
    if account.left_on and account.left_on <= company.launch and rng.random() < 0.14:  # noqa: PLR2004
        _add_label(company, account, rng)
    return _usage(account, began, tenure, rng)


def _add_people(
    company: Company, number: int, segment: str, began: date, rng: np.random.Generator
) -> AccountTruth:
    id_ = f"acc-{number:05}"
    zone, country = ZONES[int(rng.integers(len(ZONES)))]
    name = f"{rng.choice(HEAD)}{rng.choice(TAIL)} {number:04}"
    kind = int(rng.choice(3, p=(0.55, 0.33, 0.12)))
    company.accounts.append(
        {
            "id": id_,
            "name": name,
            "created_at": _at(began, 9).isoformat(),
            "persona": str(rng.choice(ROLES)),
            "account_segment": _KINDS[kind],
            "country": country,
            "time_zone": zone,
        }
    )
    plan, price, seats = _PLANS[kind]
    price = int(price * rng.uniform(0.8, 1.4))
    people = int(rng.integers(2, 6))
    truth = AccountTruth(id_, segment, None, None, [], (plan, price, seats))
    for person in range(people):
        first, last = str(rng.choice(FIRST)), str(rng.choice(LAST))
        contact = f"{id_}-p{person + 1}"
        domain = name.lower().replace(" ", "-")
        company.contacts.append(
            {
                "id": contact,
                "account": id_,
                "email": f"{first}.{last}.{person + 1}@{domain}.example".lower(),
                "first_name": first,
                "last_name": last,
                "role": str(rng.choice(ROLES)),
                "is_admin": person == 0,
            }
        )
        truth.contacts.append(contact)
    company.truth[id_] = truth
    return truth


def _add_contract(
    company: Company, account: AccountTruth, began: date, rng: np.random.Generator
) -> None:
    plan, price, seats = account.plan
    row = {
        "id": f"sub-{account.id}-1",
        "account": account.id,
        "plan": plan,
        "plan_is_free": False,
        "seats": seats,
        "mrr_minor": price,
        "currency": "EUR",
        "started_at": _at(began, 9).isoformat(),
        "ended_at": None,
        "end_kind": None,
        "end_reason": None,
    }
    rows = [row]
    leaves_over_price = account.segment == "price-sensitive" and account.left_on
    if leaves_over_price and account.left_on:
        raised = account.left_on - timedelta(days=int(rng.integers(40, 70)))
        row |= {"ended_at": _at(raised, 9).isoformat(), "end_kind": "upgraded"}
        price = int(price * rng.uniform(1.25, 1.7))
        account.plan = (plan, price, seats)
        rows.append(
            row
            | {
                "id": f"sub-{account.id}-2",
                "mrr_minor": price,
                "started_at": _at(raised, 9).isoformat(),
                "ended_at": None,
                "end_kind": None,
            }
        )
    if account.left_on:
        kinds = ("voluntary", "dunning", "merged")
        account.end_kind = str(rng.choice(kinds, p=(0.94, 0.045, 0.015)))
        says_why = leaves_over_price and rng.random() < 0.85  # noqa: PLR2004
        rows[-1] |= {
            "ended_at": _at(account.left_on, 17).isoformat(),
            "end_kind": account.end_kind,
            "end_reason": "too expensive for our budget" if says_why else None,
        }
    company.subscriptions += rows


def _add_voices(
    company: Company, account: AccountTruth, began: date, rng: np.random.Generator
) -> None:
    """Add tickets, and an answer to "would you recommend us?" of some accounts."""
    is_blocked = account.segment == "blocked-integration"
    for number in range(int(rng.poisson(2.5 if is_blocked else 0.6))):
        opened = _at(began + timedelta(days=int(rng.integers(3, 45))), 11)
        company.tickets.append(
            {
                "id": f"tic-{account.id}-{number + 1}",
                "account": account.id,
                "opened_at": opened.isoformat(),
                "closed_at": (opened + timedelta(days=3)).isoformat(),
                "topic": "connector" if is_blocked else "how-to",
            }
        )
    if rng.random() < 0.4:  # noqa: PLR2004
        usual = 5 if is_blocked or account.segment == "never-activated" else 8
        company.nps.append(
            {
                "account": account.id,
                "at": _at(began + timedelta(days=30), 12).isoformat(),
                "score": int(np.clip(rng.normal(usual, 1.6), 0, 10)),
                "contact": account.contacts[0],
            }
        )


def _add_label(
    company: Company, account: AccountTruth, rng: np.random.Generator
) -> None:
    """Add what the success team thinks: right nineteen times of twenty."""
    others = [name for name in PATTERNS if name != account.segment]
    is_wrong = rng.random() < 0.05  # noqa: PLR2004
    company.labels.append(
        {
            "account": account.id,
            "segment": str(rng.choice(others)) if is_wrong else account.segment,
            "as_of": _at(company.launch, 0).isoformat(),
            "by": "success-team",
        }
    )


def _usage(
    account: AccountTruth, began: date, tenure: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Return the account's use from its first day to its last."""
    pattern = PATTERNS[account.segment]
    chance = daily_activity(account.segment, tenure, rng)
    weekdays = (began.weekday() + np.arange(tenure)) % 7
    active = np.flatnonzero((rng.random(tenure) < chance) & (weekdays < 5))  # noqa: PLR2004
    if not len(active):
        active = np.array([0])
    rows = np.repeat(active, rng.integers(1, 4, size=len(active)))
    features = rng.choice(
        len(FEATURES), size=len(rows), p=feature_weights(pattern, rng)
    )
    failed = (features >= 9) & (rng.random(len(rows)) < pattern.failure_rate)  # noqa: PLR2004
    return pl.DataFrame(
        {
            "account": [account.id] * len(rows),
            "at": _moments(began, rows, rng),
            "feature": np.array(FEATURES)[features],
            "contact": _who(account, pattern.champion_share, rows, tenure, rng),
            "count": 1 + rng.poisson(1.5, size=len(rows)),
            "outcome": np.where(failed, "failed", "ok"),
        }
    )


def _who(
    account: AccountTruth,
    champion_share: float,
    days: np.ndarray[Any, Any],
    tenure: int,
    rng: np.random.Generator,
) -> np.ndarray[Any, Any]:
    """Return who did each row of work; a champion leaves three to five weeks early."""
    people = len(account.contacts)
    weights = np.full(people, (1 - champion_share) / max(1, people - 1))
    weights[0] = champion_share
    who = rng.choice(people, size=len(days), p=weights / weights.sum())
    if account.segment == "champion-left":
        gone = days > tenure - rng.integers(18, 36)
        who = np.where(gone & (who == 0), rng.integers(1, people, len(days)), who)
    return np.array(account.contacts)[who]


def _moments(
    began: date, days: np.ndarray[Any, Any], rng: np.random.Generator
) -> list[datetime]:
    minutes = rng.integers(8 * 60, 18 * 60, size=len(days))
    start = _at(began, 0)
    return [
        start + timedelta(days=int(day), minutes=int(minute))
        for day, minute in zip(days, minutes, strict=True)
    ]


def _at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
