"""Campaigns in situations that a report must tell apart, written into the tables."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import insert, select

from campaigns.config import WinBackSettings
from campaigns.domain.values import ArmCount, ImportCounts
from campaigns.domain.words import Arm
from campaigns.store import campaigns, imports
from campaigns.store.tables.delivery import AttemptRow, MessageRow
from campaigns.store.tables.programme import (
    CohortRow,
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    OutcomeRow,
    StayRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow
from tests.factories import NOON, campaign

DAY = timedelta(days=1)
DEFINITION = WinBackSettings().definition().version
WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Situation:
    """What happened to a campaign with a cohort a week.

    Attributes:
        treated: Accounts of each cohort written to, and those that came back.
        holdout: The same of those held out.
        cohorts: How many cohorts there are.
        looked_at: The day of the report.
        known_on: The day of the last import; None for that of the report.
        lost: Treated accounts of each cohort without an outcome.
        leaked: Held-out accounts of each cohort that were written to.
        paused_because: Why it is paused, if it is.
        stay: Of those that came back, the shares still here, treated first.
        later: As `treated`, of the cohorts after the third; None for all alike.
        empty: How many of the last cohorts found nobody.
    """

    treated: tuple[int, int]
    holdout: tuple[int, int]
    cohorts: int = 4
    looked_at: int = 120
    known_on: int | None = None
    lost: int = 0
    leaked: int = 0
    paused_because: str | None = None
    stay: tuple[float, float] = (0.9, 0.9)
    later: tuple[int, int] | None = None
    empty: int = 0

    def size(self, arm: Arm, number: int) -> ArmCount:
        """Return the size of an arm in a cohort, counted from 1."""
        if number > self.cohorts - self.empty:
            return ArmCount(0, 0)
        if arm is Arm.HOLDOUT:
            return ArmCount(*self.holdout)
        is_later = self.later is not None and number > 3
        return ArmCount(*(self.later if is_later else self.treated))


SITUATIONS = {
    "win": Situation((600, 84), (150, 8)),
    "loss": Situation((600, 30), (150, 21)),
    "unclear": Situation((600, 63), (150, 15)),
    "tiny": Situation((10, 2), (3, 0)),
    "mismatch": Situation((1000, 120), (250, 20), lost=50),
    "paused": Situation(
        (100, 10), (25, 1), looked_at=33, paused_because="5.1 % of mails bounced"
    ),
    "stale": Situation((100, 10), (25, 1), looked_at=60, known_on=35),
    "partly-matured": Situation((100, 12), (25, 2), looked_at=38),
    "leaked-holdout": Situation((600, 84), (150, 8), leaked=8),
    "too-good": Situation((600, 420), (150, 8)),
    "tourists": Situation((600, 84), (150, 8), stay=(0.4, 1.0)),
    "changed": Situation(
        (400, 80), (100, 5), cohorts=15, looked_at=150, later=(400, 20)
    ),
    "nobody": Situation((10, 1), (0, 0), empty=2),
}


@dataclass
class _Tables:
    """Rows to write, table by table, in the order in which they refer to each other."""

    rows: dict[type, list[dict]] = field(
        default_factory=lambda: {
            row: []
            for row in (
                AccountRow,
                ContactRow,
                EpisodeRow,
                HoldoutRow,
                EnrolmentRow,
                OutcomeRow,
                StayRow,
                MessageRow,
                AttemptRow,
            )
        }
    )


def plant(
    sessions, situation: Situation, *, name: str = "spring", after: int = 0
) -> datetime:
    """Write a situation; return the moment of its report.

    Args:
        sessions: The database.
        situation: Which.
        name: The campaign's.
        after: How many accounts there are by now.
    """
    tables, numbers = _Tables(), count(after + 1)
    looked_at = NOON + situation.looked_at * DAY
    known = NOON + (situation.known_on or situation.looked_at) * DAY
    moments = [NOON + number * WEEK for number in range(situation.cohorts)]
    with sessions.begin() as session:
        campaigns.apply(session, campaign(name), now=NOON)
        campaigns.launch(session, name, cohorts=moments, now=NOON)
        planned = select(CohortRow).where(CohortRow.campaign == name)
        for cohort in session.scalars(planned.order_by(CohortRow.number)).all():
            moment = moments[cohort.number - 1]
            if moment > looked_at:
                continue
            cohort.enrolled_at = moment
            cohort.window_ends_at = moment + 30 * DAY
            cohort.churned = situation.treated[0] + situation.holdout[0]
            for arm in Arm:
                _enrol(tables, situation, arm, cohort, known, numbers)
        session.flush()
        for row, values in tables.rows.items():
            if values:
                session.execute(insert(row), values)
        run = imports.begin(session, kind="usage", file="f", sha256="x", now=known)
        imports.finish(session, run, ImportCounts(taken=1), now=known)
        if situation.paused_because:
            campaigns.pause(
                session, name, because=situation.paused_because, now=looked_at
            )
    return looked_at


def _enrol(tables, situation, arm, cohort, known, numbers) -> None:
    moment, name = cohort.enrolled_at, cohort.campaign
    size = situation.size(arm, cohort.number)
    share = situation.stay[arm is Arm.HOLDOUT]
    for place in range(size.accounts):
        n, came_back = next(numbers), place < size.returned
        is_lost = arm is Arm.TREATED and place >= size.accounts - situation.lost
        is_mailed = arm is Arm.TREATED or place < situation.leaked
        account, returned_at = f"acc-{n:05}", moment + 9 * DAY
        persona = ("Engineering", "Finance", "Operations")[n % 3]
        add = {row.__tablename__: rows.append for row, rows in tables.rows.items()}
        add["accounts"]({
            "id": account, "name": account, "attributes": {}, "content_hash": "",
            "persona": persona,
        })  # fmt: skip
        add["contacts"]({
            "id": f"p-{n}", "account": account, "email": f"p{n}@example.com",
            "address_hash": f"{n:064x}", "is_admin": True, "content_hash": "",
        })  # fmt: skip
        add["episodes"]({
            "id": n, "account": account, "sequence": 1, "definition": "ended",
            "churned_at": moment - (10 + n % 200) * DAY,
        })  # fmt: skip
        add["holdout"]({
            "account": account, "arm": arm, "stratum": "s", "assigned_at": moment,
        })  # fmt: skip
        add["enrolments"]({
            "id": n, "campaign": name, "campaign_version": 1, "cohort": cohort.id,
            "account": account, "episode": n, "contact": f"p-{n}",
            "contact_choice": "only_contact", "arm": arm,
            "segment": ("slow-fade", "champion-left", "general")[n % 3],
            "stratum": "slow-fade · 30-89 days", "persona": persona,
            "enrolled_at": moment,
            "window_ends_at": moment + 30 * DAY,
        })  # fmt: skip
        if moment + 30 * DAY <= known and not is_lost:
            add["outcomes"]({
                "enrolment": n, "definition": DEFINITION, "came_back": came_back,
                "returned_at": returned_at if came_back else None,
                "settled_at": moment + 30 * DAY,
            })  # fmt: skip
            for days in (7, 14, 30) if came_back else ():
                if returned_at + days * DAY <= known:
                    is_here = place < share * size.returned or days < 30
                    add["stays"]({"enrolment": n, "days": days, "is_here": is_here})
        if is_mailed:
            add["messages"]({
                "id": n, "enrolment": n, "campaign": name, "episode": n,
                "step": 1, "template": "general", "contact": f"p-{n}",
                "address_hash": f"{n:064x}", "due_at": moment, "state": "accepted",
                "delivery": "delivered",
            })  # fmt: skip
            add["attempts"]({
                "message": n, "number": 1, "worker": "w", "posted_at": moment + DAY,
            })  # fmt: skip


def take_out_what_is_new_in_5(plain: dict) -> None:
    """Make a report's plain values those of the version before its fifth."""
    del plain["programme"]
    for each in plain["campaigns"]:
        del each["funnel"]["mailed"], each["funnel"]["delivered"]
        for part in each["breakdowns"]:
            for line in part["lines"]:
                del line["expected"]
