"""Settle returns: who came back, and whether that was within an enrolment's window."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.values import Episode, Return
from campaigns.rules.reactivation import find_return, is_win_back
from campaigns.steps.freshness import imported_until, told_until, use_told_until
from campaigns.steps.stay import see_what_was_used, see_who_stayed
from campaigns.store import episodes, imports, instance, outcomes, records
from campaigns.store.session import Session, Sessions
from campaigns.store.usage import UsageLake

_BETWEEN_LOOKS: Final = timedelta(minutes=10)
_OPEN_FOR: Final = timedelta(days=1)
"""Later the nightly run has looked at all that it told."""

logger = structlog.get_logger(__name__)


class SettleResult(NamedTuple):
    """How many absences ended, and how many enrolments got their outcome."""

    returned: int
    settled: int
    won_back: int


def settle(
    sessions: Sessions, lake: UsageLake, *, definition: WinBackDefinition, now: datetime
) -> SettleResult:
    """Close the episodes of accounts that came back, then settle closed windows."""
    with sessions.begin() as session:
        returned = record_returns(session, lake, definition=definition, now=now)
        outcomes.correct_late_returns(session, definition)
        known_until = imported_until(session, definition)
        closed_before = min(now, known_until) if known_until else None
        settled = (
            _settle_windows(session, definition, closed_before, now)
            if closed_before
            else []
        )
        if told := told_until(session, lake, definition, before=now):
            see_who_stayed(session, lake, definition=definition, before=told)
        if used := use_told_until(session, lake, before=now):
            see_what_was_used(session, lake, before=used)
    won_back = sum(returned_at is not None for _, returned_at in settled)
    if returned or settled:
        logger.info(
            "settled", returned=returned, settled=len(settled), won_back=won_back
        )
    return SettleResult(returned, len(settled), won_back)


def is_news(session: Session, *, now: datetime) -> bool:
    """Say whether an import came, or some of one, since returns were last looked for.

    One that runs or was broken off has told of returns, too: by and by these are looked
    for as well.
    """
    looked_until, after_import = instance.returns_known(session)
    if imports.latest_finished(session) != after_import:
        return True
    is_long_ago = looked_until is None or now - looked_until >= _BETWEEN_LOOKS
    return is_long_ago and imports.is_any_open(session, since=now - _OPEN_FOR)


def record_returns(
    session: Session, lake: UsageLake, *, definition: WinBackDefinition, now: datetime
) -> int:
    """Close the episodes that ended before `now`; return how many."""
    latest_import = imports.latest_finished(session)
    found = _find_returns(session, lake, definition, latest_import, now)
    episodes.record_returns(session, found)
    # After the gate's lock, as by the guard: in another order they could block.
    instance.know_returns(session, until=now, after_import=latest_import)
    return len(found)


def _find_returns(
    session: Session,
    lake: UsageLake,
    definition: WinBackDefinition,
    latest_import: int | None,
    now: datetime,
) -> list[tuple[Episode, Return]]:
    """Return the open episodes that ended before `now`, each with its return.

    Use that was looked through before is not read again, unless an import came since.
    """
    open_ones = episodes.open_episodes(session)
    looked_until, after_import = instance.returns_known(session)
    # A clock that was set back, or simulated, makes it worthless.
    is_complete = not imports.is_any_open(session, since=now - _OPEN_FOR)
    is_same = latest_import == after_import and is_complete
    holds = is_same and looked_until and looked_until <= now
    looked_at = looked_until if holds else None
    since = {
        episode.account: max(episode.churned_at, looked_at or episode.churned_at)
        for episode in open_ones
    }
    used_at = lake.first_used_after(since, before=now)
    spans = records.spans_since_churn(session, before=now)
    merged = records.merged_since_churn(session, before=now)
    found = []
    for episode in open_ones:
        back = find_return(
            episode,
            subscriptions=spans.get(episode.account, ()),
            first_used_at=used_at.get(episode.account),
            now=now,
            definition=definition,
            merged_at=merged.get(episode.account),
        )
        if back is not None:
            found.append((episode, back))
    return found


def _settle_windows(
    session: Session,
    definition: WinBackDefinition,
    closed_before: datetime,
    now: datetime,
) -> list[tuple[int, datetime | None]]:
    """Record the outcome of each enrolment whose window closed, and return them."""
    settled = [
        (
            closed.enrolment,
            closed.episode.returned_at
            if is_win_back(
                closed.episode,
                enrolled_at=closed.enrolled_at,
                window_ends_at=closed.window_ends_at,
                definition=definition,
            )
            else None,
        )
        for closed in outcomes.unsettled(session, closed_before=closed_before)
    ]
    outcomes.settle(session, settled, definition=definition.version, now=now)
    return settled
