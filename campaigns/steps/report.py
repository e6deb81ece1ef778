"""Give the verdicts that fall due, and gather a week's report."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import structlog

from campaigns.domain.definitions import ChurnDefinition, WinBackDefinition
from campaigns.domain.values import CohortCount
from campaigns.domain.words import Arm, CampaignState, Verdict
from campaigns.errors import ConfigError
from campaigns.present import words
from campaigns.present.report import (
    CampaignReport,
    CohortLine,
    Comparison,
    Funnel,
    SegmentLine,
    WeeklyReport,
)
from campaigns.rules.measure.verdict import verdict_of
from campaigns.steps.compare import (
    CONFIDENCE,
    Baseline,
    in_order,
    looks,
    pair_of,
    pairs_of,
)
from campaigns.steps.settle import telling_kinds
from campaigns.store import (
    campaigns,
    cohorts,
    events,
    imports,
    model_versions,
    outcomes,
    suppressions,
    usage,
)
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
    """

    sessions: Sessions
    lake: UsageLake
    company: str
    churn: ChurnDefinition
    win_back: WinBackDefinition
    baseline: Baseline
    titles: Mapping[str, str]


def end_of_week(week: str) -> datetime:
    """Return the moment a week named by ISO 8601 ends.

    >>> end_of_week("2026-W14")
    datetime.datetime(2026, 4, 6, 0, 0, tzinfo=datetime.timezone.utc)

    Raises:
        ConfigError: The name is not of that form.
    """
    try:
        monday = datetime.strptime(f"{week}-1", "%G-W%V-%u").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"{week!r} is not a week such as 2026-W14") from error
    return monday + timedelta(days=7)


def week_of(moment: datetime) -> str:
    """Return the ISO week that ends at or holds the instant before `moment`."""
    return f"{moment - timedelta(microseconds=1):%G-W%V}"


def give_verdicts(reporting: Reporting, *, now: datetime) -> list[str]:
    """Give each verdict that falls due, once; return the campaigns it was given on."""
    given = []
    with reporting.sessions.begin() as session:
        known_until = imports.known_until(session, telling_kinds(reporting.win_back))
        if known_until is None:
            return []
        counts = outcomes.matured_counts(session)
        for name in campaigns.names(session):
            if outcomes.verdict(session, name) is not None:
                continue
            is_over = _is_over(session, name, min(now, known_until))
            mine = [count for count in counts if count.campaign == name]
            if _give_verdict(session, reporting, name, mine, is_over=is_over, now=now):
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
    *,
    is_over: bool,
    now: datetime,
) -> bool:
    """Give a campaign its verdict, if it can be told; say whether it could."""
    from campaigns.rules.measure.sequential import excludes_none  # imports scipy

    pairs = pairs_of(counts)
    if not is_over and not excludes_none(pairs):
        return False
    comparison = looks(reporting.baseline, pairs)[-1]
    verdict = verdict_of(comparison.lift, is_over=is_over)
    if verdict is Verdict.CANNOT_TELL_YET:
        return False
    outcomes.give_verdict(
        session,
        name,
        verdict=verdict,
        definition=reporting.win_back.version,
        counts=_counts_of(comparison),
        now=now,
    )
    logger.info("verdict_given", campaign=name, verdict=verdict)
    return True


def gather(reporting: Reporting, *, as_of: datetime) -> WeeklyReport:
    """Return the report as of a moment: only windows closed by then are counted."""
    with reporting.sessions.begin() as session:
        matured = [
            count
            for count in outcomes.matured_counts(session)
            if count.window_ends_at <= as_of
        ]
        waiting = outcomes.waiting_counts(session)
        model = model_versions.active(session, "segments")
        reports = tuple(
            _campaign(session, reporting, name, matured, waiting.get(name, {}), as_of)
            for name in campaigns.names(session)
            if campaigns.state_of(session, name) is not CampaignState.APPLIED
        )
        known_until = imports.known_until(session, telling_kinds(reporting.win_back))
    return WeeklyReport(
        week=week_of(as_of),
        as_of=as_of,
        company=reporting.company,
        churn_definition=reporting.churn.version,
        win_back_definition=reporting.win_back.version,
        window_days=reporting.win_back.window.days,
        baseline=reporting.baseline.rate,
        baseline_accounts=reporting.baseline.accounts,
        model=_told(model.metadata) if model else None,
        newest_usage_at=usage.newest_event(reporting.lake, before=as_of),
        known_until=min(known_until, as_of) if known_until else None,
        campaigns=reports,
    )


def _told(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what a reader may want to know of a model."""
    return {name: each for name, each in metadata.items() if name != "reference"}


def _campaign(
    session: Session,
    reporting: Reporting,
    name: str,
    matured: Sequence[CohortCount],
    waiting: Mapping[Arm, int],
    as_of: datetime,
) -> CampaignReport:
    counts = [count for count in matured if count.campaign == name]
    compared = looks(reporting.baseline, pairs_of(counts))
    comparison = compared[-1]
    given = outcomes.verdict(session, name)
    is_final = given is not None and given["given_at"] <= as_of
    verdict = (
        Verdict(given["verdict"]) if given and is_final else Verdict.CANNOT_TELL_YET
    )
    last = cohorts.last_window_ends_at(session, name)
    status = campaigns.status(session, name)
    return CampaignReport(
        name=name,
        state=status.state,
        verdict=verdict,
        sentence=words.verdict_sentence(
            verdict,
            comparison,
            window_days=reporting.win_back.window.days,
            last_window_ends_at=last,
        ),
        baseline_sentence=words.baseline_sentence(
            comparison,
            baseline=reporting.baseline.rate,
            accounts=reporting.baseline.accounts,
        ),
        next_step=words.NEXT_STEP[verdict],
        is_final=is_final,
        comparison=comparison,
        segments=_by_segment(reporting, counts),
        cohorts=_by_cohort(counts, compared[1:]),
        cohorts_planned=status.cohorts_planned,
        not_matured={arm: waiting.get(arm, 0) for arm in Arm},
        last_window_ends_at=last,
        funnel=Funnel(
            churned=cohorts.churned_in_latest_cohort(session, name),
            refused=status.refused,
            enrolled=status.enrolled,
            messages=status.messages,
            skipped=status.skipped,
            delivery={
                str(word): count
                for word, count in outcomes.delivery_counts(session, name).items()
            },
            clicked=events.people_who_clicked(session, name),
            unsubscribed=suppressions.unsubscribed(session, name),
        ),
    )


def _by_segment(
    reporting: Reporting, counts: Sequence[CohortCount]
) -> tuple[SegmentLine, ...]:
    """Return each segment's comparison; all of them hold together."""
    names = sorted({count.segment for count in counts})
    confidence = 1 - (1 - CONFIDENCE) / max(len(names), 1)
    return tuple(
        SegmentLine(
            name,
            reporting.titles.get(name, name),
            looks(
                reporting.baseline,
                pairs_of([count for count in counts if count.segment == name]),
                confidence=confidence,
            )[-1],
        )
        for name in names
    )


def _by_cohort(
    counts: Sequence[CohortCount], compared: Sequence[Comparison]
) -> tuple[CohortLine, ...]:
    return tuple(
        CohortLine(
            number=group[0].cohort,
            enrolled_on=_day(group[0].enrolled_at),
            window_closed_on=_day(group[0].window_ends_at),
            treated=pair_of(group).treated,
            holdout=pair_of(group).holdout,
            so_far=so_far,
        )
        for group, so_far in zip(in_order(counts), compared, strict=True)
    )


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _counts_of(comparison: Comparison) -> dict[str, Any]:
    return {
        "treated": [comparison.treated.accounts, comparison.treated.returned],
        "holdout": [comparison.holdout.accounts, comparison.holdout.returned],
    }
