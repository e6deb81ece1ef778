"""Programmes in which a mail helps all alike, through `learn` week by week."""

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
from rich.console import Console
from rich.progress import track
from sqlalchemy import insert

from benchmarks.programme import opened
from benchmarks.promises import folder_of_this_code
from campaigns.config import ChurnSettings, LearningSettings, WinBackSettings
from campaigns.domain.words import ModelKind
from campaigns.shipped import templates_folder
from campaigns.steps.learn import learn
from campaigns.steps.score import Learning
from campaigns.store import campaigns, model_versions, snapshots
from campaigns.store.session import Session
from campaigns.store.tables.operations import InstanceRow
from campaigns.store.tables.programme import (
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    OutcomeRow,
    ScoreRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow
from campaigns.store.usage import UsageLake
from models.definitions import DEFINITION, FEATURE_NAMES
from models.synthetic.trials import MadeTrial, make_trial
from tests.factories import NOON, campaign

WEEKS: Final = 26
_A_WEEK: Final = 150
_WINDOW: Final = timedelta(days=30)


def left_mailing_all(worlds: int) -> list[int]:
    """Return the seeds of programmes that ever left anybody alone, of so many.

    What was found is kept, so this may be stopped and goes on.
    """
    file = folder_of_this_code() / "weekly_learning.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    # A line that was torn by a kill is tried again.
    lines = [line for line in file.read_text().splitlines() if line.endswith("]")]
    found = dict(map(json.loads, lines))
    rest = [seed for seed in range(worlds) if seed not in found]
    with ProcessPoolExecutor() as pool, file.open("a") as kept:
        tried = zip(rest, pool.map(leaves_mailing_all, rest), strict=True)
        console = Console(stderr=True)
        for seed, has_left in track(tried, "programmes", len(rest), console=console):
            found[seed] = has_left
            print(json.dumps((seed, has_left)), file=kept, flush=True)
    return [seed for seed in range(worlds) if found[seed]]


def leaves_mailing_all(
    seed: int, *, harmed_share: float = 0.0, first: int = 1_000, weeks: int = WEEKS
) -> bool:
    """Say whether any of a programme's weekly looks lets a model choose whom to mail.

    Args:
        seed: Of the accounts.
        harmed_share: Of those that a mail puts off; with 0 it adds the same to all.
        first: Accounts whose window closed before the first look; 150 follow a week.
        weeks: How many looks there are.
    """
    sizes = [first + _A_WEEK * week for week in range(weeks)]
    made = make_trial(sizes[-1], seed=seed, harmed_share=harmed_share)
    with TemporaryDirectory() as folder:
        learning = _learning(Path(folder))
        with learning.sessions.begin() as session:
            _launch(session, made)
            for week, (start, stop) in enumerate(pairwise([0, *sizes])):
                _close_windows(session, learning, made, week, range(start, stop))
        return any(_chooses(learning, week) for week in range(weeks))


def _learning(folder: Path) -> Learning:
    return Learning(
        opened(folder),
        UsageLake(folder / "usage"),
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        templates_folder() / "workspace" / "segments.toml",
        folder / "models",
        folder / "snapshots",
        LearningSettings().costs,
        promotes=True,
    )


def _chooses(learning: Learning, week: int) -> bool:
    learn(learning, now=_look(week))
    with learning.sessions.begin() as session:
        return model_versions.active(session, ModelKind.UPLIFT) is not None


def _look(week: int) -> datetime:
    return NOON + _WINDOW + timedelta(weeks=week)


def _launch(session: Session, made: MadeTrial) -> None:
    session.add(InstanceRow(id=1, name="bench", created_at=NOON))
    session.execute(
        insert(AccountRow),
        [
            {"id": account, "name": account, "attributes": {}, "content_hash": ""}
            for account in made.accounts
        ],
    )
    session.execute(
        insert(ContactRow).values(
            id="p", account=made.accounts[0], email="p@example.com",
            address_hash="0", is_admin=True, content_hash="",
        )
    )  # fmt: skip
    campaigns.apply(session, campaign(), now=NOON)
    campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)


def _close_windows(
    session: Session, learning: Learning, made: MadeTrial, week: int, rows: range
) -> None:
    """Write the accounts whose window closed before a look, and what was known."""
    enrolled = _look(week) - _WINDOW - timedelta(hours=1)
    features = pl.DataFrame(
        made.trial.X[rows.start : rows.stop], schema=list(FEATURE_NAMES), orient="row"
    )
    accounts = pl.Series("account", made.accounts[rows.start : rows.stop])
    snapshots.keep(
        session,
        learning.snapshots_folder,
        features.insert_column(0, accounts),
        as_of=enrolled,
        definition=DEFINITION,
        drift=[],
    )
    for row, value in (
        (EpisodeRow, _episode),
        (ScoreRow, _score),
        (HoldoutRow, _holdout),
        (EnrolmentRow, _enrolment),
        (OutcomeRow, _outcome),
    ):
        session.execute(insert(row), [value(made, n, enrolled) for n in rows])


def _episode(made: MadeTrial, n: int, enrolled: datetime) -> dict:
    return {
        "id": n + 1,
        "account": made.accounts[n],
        "sequence": 1,
        "churned_at": enrolled - timedelta(days=30),
        "definition": "ended",
    }


def _score(made: MadeTrial, n: int, enrolled: datetime) -> dict:
    return {
        "id": n + 1,
        "as_of": enrolled,
        "account": made.accounts[n],
        "segment": "general",
        "confidence": 0.5,
        "reasons": [],
        "facts": {},
        "model": "m",
    }


def _arm(made: MadeTrial, n: int) -> str:
    return "treated" if made.trial.mailed[n] else "holdout"


def _holdout(made: MadeTrial, n: int, enrolled: datetime) -> dict:
    return {
        "account": made.accounts[n],
        "arm": _arm(made, n),
        "stratum": "s",
        "assigned_at": enrolled,
        "holdout_chance": 0.2,
    }


def _enrolment(made: MadeTrial, n: int, enrolled: datetime) -> dict:
    return {
        "id": n + 1,
        "campaign": "spring",
        "campaign_version": 1,
        "cohort": 1,
        "account": made.accounts[n],
        "episode": n + 1,
        "contact": "p",
        "contact_choice": "only_contact",
        "arm": _arm(made, n),
        "segment": "general",
        "stratum": "s",
        "score": n + 1,
        "enrolled_at": enrolled,
        "window_ends_at": enrolled + _WINDOW,
    }


def _outcome(made: MadeTrial, n: int, enrolled: datetime) -> dict:
    return {
        "enrolment": n + 1,
        "definition": "d",
        "came_back": bool(made.trial.y[n]),
        "returned_at": None,
        "settled_at": enrolled + _WINDOW,
    }
