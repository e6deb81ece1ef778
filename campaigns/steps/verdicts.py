"""Give the verdicts that fall due, each once, unless something makes them worthless."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from campaigns.domain.definitions import ChurnDefinition, WinBackDefinition
from campaigns.domain.values import CohortCount
from campaigns.domain.words import Arm, Verdict
from campaigns.present.lines import Comparison
from campaigns.rules.measure.losses import unequal_loss
from campaigns.rules.measure.verdict import (
    AT_THE_END,
    UNHEARD_OF,
    Soundness,
    doubt_of,
    verdict_of,
)
from campaigns.steps.compare import Baseline, last_look, pairs_of
from campaigns.steps.freshness import imported_until, told_until
from campaigns.store import campaigns, cohorts, outcomes
from campaigns.store.session import Session, Sessions
from campaigns.store.usage import UsageLake

logger = structlog.get_logger(__name__)


class Reporting(NamedTuple):
    """What reports are made with.

    Attributes:
        sessions: The database.
        lake: The usage events.
        company: Whose report it is.
        churn: The churn definition.
        win_back: The win-back definition.
        baseline: The pilot.
        titles: What segments are called.
        unheard_of: A lift that is larger for certain is held for a mistake.
    """

    sessions: Sessions
    lake: UsageLake
    company: str
    churn: ChurnDefinition
    win_back: WinBackDefinition
    baseline: Baseline
    titles: Mapping[str, str]
    unheard_of: float = UNHEARD_OF


class _Known(NamedTuple):
    """Up to when windows are closed, and up to when it is known who came back."""

    imported_until: datetime
    told_until: datetime | None
    now: datetime


def give_verdicts(reporting: Reporting, *, now: datetime) -> list[str]:
    """Give each verdict that falls due, once; return the campaigns it was given on."""
    given = []
    with reporting.sessions.begin() as session:
        imported = imported_until(session, reporting.win_back)
        if imported is None:
            return []
        known = _Known(
            min(now, imported),
            told_until(session, reporting.lake, reporting.win_back, before=now),
            now,
        )
        counts = outcomes.matured_counts(session)
        for name in campaigns.names(session):
            if outcomes.verdict(session, name) is not None:
                continue
            is_over = _is_over(session, name, known.imported_until)
            mine = [count for count in counts if count.campaign == name]
            if _give_verdict(session, reporting, name, mine, known, is_over=is_over):
                given.append(name)
    return given


def _is_over(session: Session, name: str, known_until: datetime) -> bool:
    last = cohorts.last_window_ends_at(session, name)
    has_ended = last is not None and last <= known_until
    return has_ended and outcomes.are_all_settled(session, name)


def _give_verdict(
    session: Session,
    reporting: Reporting,
    name: str,
    counts: Sequence[CohortCount],
    known: _Known,
    *,
    is_over: bool,
) -> bool:
    """Give a campaign its verdict, if it can be told; say whether it could."""
    from campaigns.rules.measure.sequential import excludes_none  # imports scipy

    pairs = pairs_of(counts)
    if not is_over and not excludes_none(pairs):
        return False
    comparison = last_look(reporting.baseline, pairs)
    accounts = comparison.treated.accounts + comparison.holdout.accounts
    verdict = verdict_of(comparison.lift, accounts=accounts, is_over=is_over)
    soundness = soundness_of(
        session,
        name,
        as_of=known.now,
        closed_before=known.imported_until,
        told_until=known.told_until,
    )
    doubt = doubt_of(soundness, comparison.lift, unheard_of=reporting.unheard_of)
    if verdict is Verdict.CANNOT_TELL_YET or doubt is not None:
        return False
    outcomes.give_verdict(
        session,
        name,
        verdict=verdict,
        definition=reporting.win_back.version,
        counts=_counts_of(comparison),
        now=known.now,
    )
    logger.info("verdict_given", campaign=name, verdict=verdict)
    return True


def _counts_of(comparison: Comparison) -> dict[str, list[int]]:
    return {
        "treated": [comparison.treated.accounts, comparison.treated.returned],
        "holdout": [comparison.holdout.accounts, comparison.holdout.returned],
    }


def soundness_of(
    session: Session,
    name: str,
    *,
    as_of: datetime,
    closed_before: datetime,
    told_until: datetime | None,
    is_decided: bool = False,
) -> Soundness:
    """Return what may make a campaign's comparison worthless.

    Args:
        session: The database.
        name: The campaign.
        as_of: Up to when things are counted.
        closed_before: Windows that ended by then have been closed.
        told_until: Up to when it is known who came back; None if nothing tells it.
        is_decided: Whether it does not matter who came back since.
    """
    measured = outcomes.measured(session, name, closed_before=closed_before)
    known_from = told_until or cohorts.first_enrolled_at(session, name)
    last = cohorts.last_window_ends_at(session, name)
    # Who comes back after the last window is no matter.
    matters_until = min(as_of, last) if last else as_of
    return Soundness(
        loss=unequal_loss(measured[Arm.TREATED], measured[Arm.HOLDOUT]),
        leak=outcomes.leak(session, name, before=as_of),
        unknown_for=matters_until - known_from
        if known_from and not is_decided
        else timedelta(),
    )


def verdict_on(
    session: Session, name: str, comparison: Comparison, *, as_of: datetime
) -> Verdict | None:
    """Return the verdict on a campaign if it was given on no more than this, or None.

    So the report of a week that ended at midnight knows the verdict that its cohorts
    were given an hour later, and an earlier week's does not.
    """
    given = outcomes.verdict(session, name)
    if given is None:
        return None
    now = _counts_of(comparison)
    is_known = all(given["counts"][arm][0] <= now[arm][0] for arm in now)
    verdict = Verdict(given["verdict"])
    if verdict in AT_THE_END:
        last = cohorts.last_window_ends_at(session, name)
        is_known = is_known and last is not None and last <= as_of
    return verdict if is_known else None
