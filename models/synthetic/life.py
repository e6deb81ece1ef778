"""Life after the launch: day by day, who comes back, with and without mails.

Each account has one draw a day, fixed by the seed. It comes back on the first day whose
draw lies below its chance; mails move the chance, never the draw, so the same world can
be lived with mails and without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.synthetic.company import AccountTruth, Company
from models.synthetic.patterns import FEATURES, PATTERNS, organic_hazard

_EFFECT_DAYS: Final = 14
_FIT: Final = {"right": 1.0, "general": 0.6, "wrong": 0.3}
_SECOND: Final = 0.5
_BEHAVIOURS: Final = (
    ("hard_bounce", 0.025),
    ("soft_bounce", 0.01),
    ("complaint", 0.002),
    ("scanner", 0.2),
    ("reader", 0.35),
    ("clicker", 0.06),
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that reached somebody.

    Attributes:
        address: Whom it reached.
        segment: Which segment's text it was, `general` for the general one.
    """

    address: str
    segment: str


@dataclass(slots=True)
class Life:
    """The days after the launch.

    Attributes:
        company: Whose life it is.
        seed: Fixes every draw.
        days: How many days can be lived.
        returned: The accounts that came back, with the day.
        touches: For each account, day and strength of each mail that reached it.
    """

    company: Company
    seed: int
    days: int
    returned: dict[str, date] = field(default_factory=dict)
    touches: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    _left: list[AccountTruth] = field(init=False)
    _draws: NDArray[np.float64] = field(init=False)
    _account_of: dict[str, str] = field(init=False)
    _dead: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._left = [
            truth
            for truth in self.company.truth.values()
            if truth.left_on and truth.end_kind == "voluntary"
        ]
        rng = np.random.default_rng([self.seed, 1])
        self._draws = rng.random((len(self._left), self.days))
        self._account_of = {c["email"]: c["account"] for c in self.company.contacts}
        self._dead = frozenset(
            address
            for address, behaviour in self.recipients()
            if behaviour == "hard_bounce"
        )

    def recipients(self) -> list[tuple[str, str]]:
        """Return how mailboxes behave, for those that do anything but receive."""
        rng = np.random.default_rng([self.seed, 2])
        names = [name for name, _ in _BEHAVIOURS]
        chances = np.array([chance for _, chance in _BEHAVIOURS])
        cumulative = np.cumsum(chances)
        draws = rng.random(len(self.company.contacts))
        places = np.searchsorted(cumulative, draws)
        return [
            (contact["email"], names[place])
            for contact, place in zip(self.company.contacts, places, strict=True)
            if place < len(names)
        ]

    def live(self, day: date, mails: Sequence[Mail]) -> list[str]:
        """Let one day pass on which `mails` arrived; return who comes back on it."""
        today = (day - self.company.launch).days
        for mail in mails:
            self._feel(mail, today)
        back = []
        for place, truth in enumerate(self._left):
            if truth.id in self.returned or truth.left_on is None:
                continue
            chance = self._chance(truth, today, self.touches.get(truth.id, []))
            if chance is not None and self._draws[place, today] < chance:
                self.returned[truth.id] = day
                back.append(truth.id)
        return back

    def _feel(self, mail: Mail, today: int) -> None:
        account = self._account_of.get(mail.address)
        if account is None or mail.address in self._dead:
            return
        truth = self.company.truth[account]
        fit = "right" if mail.segment == truth.segment else "wrong"
        fit = "general" if mail.segment == "general" else fit
        before = self.touches.setdefault(account, [])
        strength = _FIT[fit] * (_SECOND if before else 1.0)
        before.append((today, strength))

    def _chance(
        self, truth: AccountTruth, today: int, touches: Sequence[tuple[int, float]]
    ) -> float | None:
        """Return the chance to come back today; None before the account left.

        And for one that did not leave of its own will: it does not come back.
        """
        if truth.left_on is None or truth.end_kind != "voluntary":
            return None
        left = (truth.left_on - self.company.launch).days
        if today <= left + 4:
            return None
        pattern = PATTERNS[truth.segment]
        organic = pattern.organic * float(organic_hazard(np.array([today - left]))[0])
        added = sum(
            pattern.mail_effect * strength / _EFFECT_DAYS
            for day, strength in touches
            if day <= today < day + _EFFECT_DAYS
        )
        return min(1.0, max(0.0, organic + added))

    def true_effect(
        self, enrolled: Mapping[str, datetime], *, window_days: int
    ) -> float:
        """Return what the mails truly added to the chance of a return within a window.

        The mean over the accounts of `enrolled`: what mails add to the chance of each
        day on which an account is still away, as far as it would have stayed away
        without them. Whom a second mail finds hangs on who came back before it; a
        sum over the days is right on average all the same, as the chance of a day is
        known before it. Source: O. Aalen, Annals of Statistics 6 (1978), 701-726.
        """
        gains = [
            self._gain(account, at.date(), window_days)
            for account, at in sorted(enrolled.items())
        ]
        return float(np.mean(gains)) if gains else 0.0

    def _gain(self, account: str, first: date, window_days: int) -> float:
        truth, touches = self.company.truth[account], self.touches.get(account, [])
        start = (first - self.company.launch).days
        end = min(start + window_days, self.days)
        returned = self.returned.get(account)
        gain, stays_away = 0.0, 1.0
        for today in reversed(range(start, end)):
            alone = self._chance(truth, today, []) or 0.0
            day = self.company.launch + timedelta(days=today)
            if returned is None or day <= returned:
                with_mails = self._chance(truth, today, touches) or 0.0
                gain += (with_mails - alone) * stays_away
            stays_away *= 1 - alone
        return gain

    def new_contracts(self, back: Sequence[str], day: date) -> list[dict[str, Any]]:
        """Return the subscriptions that returning accounts begin on `day`."""
        rows = []
        for account in back:
            plan, price, seats = self.company.truth[account].plan
            rows.append(
                {
                    "id": f"sub-{account}-back",
                    "account": account,
                    "plan": plan,
                    "plan_is_free": False,
                    "seats": seats,
                    "mrr_minor": price,
                    "currency": "EUR",
                    "started_at": datetime(
                        day.year, day.month, day.day, 10, tzinfo=UTC
                    ).isoformat(),
                }
            )
        return rows

    def usage_on(self, day: date) -> pl.DataFrame:
        """Return what is used on `day`: by those who stayed and those who returned."""
        stayed = self.company.usage.filter(pl.col("at").dt.date() == day)
        rng = np.random.default_rng([self.seed, 3, day.toordinal()])
        rows = [
            {
                "account": account,
                "at": datetime(day.year, day.month, day.day, 11, tzinfo=UTC),
                "feature": FEATURES[int(rng.integers(5))],
                "contact": self.company.truth[account].contacts[-1],
                "count": int(1 + rng.poisson(2)),
                "outcome": "ok",
            }
            for account, since in sorted(self.returned.items())
            if day >= since and day.weekday() < 5 and rng.random() < 0.6  # noqa: PLR2004
        ]
        if not rows:
            return stayed
        return pl.concat([stayed, pl.DataFrame(rows, schema=stayed.schema)])

    def ending_on(self, day: date) -> list[dict[str, Any]]:
        """Return the subscriptions that change on `day` because the account leaves."""
        moved = {day.isoformat()}
        return [
            row
            for row in self.company.subscriptions
            if row["ended_at"] and row["ended_at"][:10] in moved
        ] + [
            row
            for row in self.company.subscriptions
            if row["started_at"][:10] in moved and not row["ended_at"]
        ]


def until(company: Company, moment: date) -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """Return contracts and use as they were known on the morning of `moment`."""
    text = moment.isoformat()
    known = []
    for row in company.subscriptions:
        if row["started_at"][:10] >= text:
            continue
        if row["ended_at"] and row["ended_at"][:10] >= text:
            row = row | {"ended_at": None, "end_kind": None, "end_reason": None}  # noqa: PLW2901
        known.append(row)
    before = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return known, company.usage.filter(pl.col("at") < before)
