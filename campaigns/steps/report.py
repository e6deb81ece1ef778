"""Gather a week's report, and keep it as it was made."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from campaigns.domain.values import CampaignStatus, CohortCount
from campaigns.domain.words import CampaignState, Verdict
from campaigns.errors import ConfigError
from campaigns.present import remarks, words
from campaigns.present.lines import Comparison
from campaigns.present.report import CampaignReport, Funnel, WeeklyReport, from_plain
from campaigns.rules.measure.verdict import Soundness, doubt_of, has_changed
from campaigns.steps.aftermath import adoption_lines, nps_lines
from campaigns.steps.breakdowns import breakdowns, by_cohort, persona_group
from campaigns.steps.compare import in_order, looks, pair_of, pairs_of, windows_of
from campaigns.steps.freshness import imported_until, told_until
from campaigns.steps.lasting import money_lines, stay_lines
from campaigns.steps.programme import Judged, programme
from campaigns.steps.still_open import open_lines
from campaigns.steps.verdicts import Reporting, soundness_of, verdict_on
from campaigns.steps.which_text import step_texts
from campaigns.store import (
    campaigns,
    cohorts,
    events,
    model_versions,
    money,
    outcomes,
    reports,
    stays,
    suppressions,
    texts,
    usage,
)
from campaigns.store.session import Session


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
    end = monday + timedelta(days=7)
    if week_of(end) != week:
        raise ConfigError(f"there is no week {week}: that year has only 52")
    return end


def week_of(moment: datetime) -> str:
    """Return the ISO week that ends at or holds the instant before `moment`."""
    return f"{moment - timedelta(microseconds=1):%G-W%V}"


_NOT_TO_BE_QUOTED: Final = {Verdict.MISMATCH, Verdict.TOO_GOOD}


class _Facts(NamedTuple):
    """What is read once for all campaigns.

    Attributes:
        as_of: Up to when things are counted.
        known_until: Up to when it is known who came back; None if it never was.
        imported_until: When what tells of it was imported; None likewise.
        matured: The counts of closed cohorts.
        still_open: Accounts whose window is open.
        early: Those of them that came back.
        seen: Who was seen to have stayed or left.
        before: The campaigns' reports of the week before, by name.
    """

    as_of: datetime
    known_until: datetime | None
    imported_until: datetime | None
    matured: list[CohortCount]
    still_open: list[outcomes.OpenCount]
    early: list[outcomes.EarlyReturn]
    seen: list[stays.StayCount]
    before: Mapping[str, CampaignReport]


def gather(reporting: Reporting, *, as_of: datetime) -> WeeklyReport:
    """Return the report as of a moment: only windows closed by then are counted."""
    with reporting.sessions.begin() as session:
        facts = _facts(session, reporting, as_of)
        model = model_versions.active(session, "segments")
        judged = [
            _campaign(session, reporting, name, facts)
            for name in campaigns.names(session)
            if campaigns.state_of(session, name) is not CampaignState.APPLIED
        ]
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
        known_until=facts.known_until,
        programme=programme(reporting, facts.matured, judged, as_of=as_of),
        campaigns=tuple(each.report for each in judged),
    )


def _facts(session: Session, reporting: Reporting, as_of: datetime) -> _Facts:
    imported = imported_until(session, reporting.win_back)
    told = told_until(session, reporting.lake, reporting.win_back, before=as_of)
    before = reports.kept(session, week_of(as_of - timedelta(days=7)))
    return _Facts(
        as_of=as_of,
        known_until=told,
        imported_until=min(imported, as_of) if imported else None,
        matured=[
            count
            for count in outcomes.matured_counts(session)
            if count.window_ends_at <= as_of
        ],
        still_open=outcomes.still_open(session, as_of=as_of, after=told),
        early=outcomes.early_returns(session, as_of=as_of, after=told),
        seen=stays.counts(session),
        before={each.name: each for each in from_plain(before).campaigns}
        if before
        else {},
    )


def of_week(reporting: Reporting, week: str, *, now: datetime) -> WeeklyReport:
    """Return a week's report as it was kept, or else gather it now."""
    with reporting.sessions.begin() as session:
        content = reports.kept(session, week)
    if content is not None:
        return from_plain(content)
    return gather(reporting, as_of=min(end_of_week(week), now))


def keep(reporting: Reporting, report: WeeklyReport, *, now: datetime) -> None:
    """Keep a report as it is: what is learnt later does not change it."""
    with reporting.sessions.begin() as session:
        reports.keep(session, report.week, report.json(), as_of=report.as_of, now=now)


def _told(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what a reader may want to know of a model."""
    return {name: each for name, each in metadata.items() if name != "reference"}


class _Judgement(NamedTuple):
    """What may be claimed of a campaign, and what its comparison is worth."""

    verdict: Verdict
    is_given: bool
    soundness: Soundness
    definitions: frozenset[str]


def _campaign(
    session: Session, reporting: Reporting, name: str, facts: _Facts
) -> Judged:
    counts = [count for count in facts.matured if count.campaign == name]
    compared = looks(reporting.baseline, pairs_of(counts))
    comparison = compared[-1]
    status = campaigns.status(session, name)
    judgement = _judgement(session, reporting, name, facts, comparison)
    known_until = facts.known_until or facts.as_of
    found = CampaignReport(
        name=name,
        state=status.state,
        verdict=judgement.verdict,
        # What the numbers say is told once all of them are there.
        sentence="",
        baseline_sentence="",
        next_step="",
        warnings=(),
        changes=(),
        stay_sentence="",
        is_given=judgement.is_given,
        comparison=comparison,
        breakdowns=breakdowns(
            counts, baseline=reporting.baseline, titles=reporting.titles
        ),
        stays=stay_lines(
            counts,
            [each for each in facts.seen if each.campaign == name],
            as_of=known_until,
        ),
        adoption=adoption_lines(
            session, name, group_of=persona_group(counts), as_of=known_until
        ),
        nps=nps_lines(session, name, as_of=facts.as_of),
        money=money_lines(
            money.amounts(session, name, closed_before=facts.as_of),
            {group[0].cohort: pair_of(group) for group in in_order(counts)},
        ),
        texts=step_texts(
            [
                each
                for each in texts.counts(session, name)
                if each.window_ends_at <= facts.as_of
            ]
        ),
        cohorts=by_cohort(
            counts,
            compared,
            cohorts.without_accounts(session, name, closed_before=facts.as_of),
        ),
        cohorts_planned=status.cohorts_planned,
        still_open=open_lines(
            [each for each in facts.still_open if each.campaign == name],
            [each for each in facts.early if each.campaign == name],
            known_until=facts.known_until,
        ),
        last_window_ends_at=cohorts.last_window_ends_at(session, name),
        funnel=_funnel(session, name, status, closed_before=facts.as_of),
    )
    windows = windows_of(counts) or {reporting.win_back.window.days}
    said = _in_words(found, reporting, facts, status, judgement, windows)
    return Judged(said, judgement.soundness, judgement.definitions)


def _in_words(
    found: CampaignReport,
    reporting: Reporting,
    facts: _Facts,
    status: CampaignStatus,
    judgement: _Judgement,
    windows: Collection[int],
) -> CampaignReport:
    """Return a campaign's report with what its numbers say."""
    verdict, soundness = judgement.verdict, judgement.soundness
    baseline = reporting.baseline
    said = replace(
        found,
        sentence=words.verdict_sentence(
            verdict,
            found.comparison,
            window_days=windows,
            last_window_ends_at=found.last_window_ends_at,
            lead=remarks.lead(found, soundness),
        ),
        next_step=remarks.next_step(found, status, soundness),
        warnings=remarks.warnings(
            found,
            soundness,
            status,
            told_until=facts.known_until,
            definitions=judgement.definitions,
            current=reporting.win_back.version,
        ),
        stay_sentence=remarks.stay_sentence(found.stays, verdict),
    )
    if verdict not in _NOT_TO_BE_QUOTED:
        against = words.baseline_sentence(
            found.comparison, baseline=baseline.rate, accounts=baseline.accounts
        )
        said = replace(said, baseline_sentence=against)
    return replace(said, changes=remarks.changes(facts.before.get(found.name), said))


def _judgement(
    session: Session,
    reporting: Reporting,
    name: str,
    facts: _Facts,
    comparison: Comparison,
) -> _Judgement:
    """Return the verdict that was given, if one was, or else what stands against it."""
    given = verdict_on(session, name, comparison, as_of=facts.as_of)
    soundness = soundness_of(
        session,
        name,
        as_of=facts.as_of,
        closed_before=facts.imported_until or facts.as_of,
        told_until=facts.known_until,
        is_decided=given is not None,
    )
    doubt = doubt_of(soundness, comparison.lift, unheard_of=reporting.unheard_of)
    if given is not None and has_changed(comparison.lift):
        # What was shown by the cohorts of then holds no longer for all.
        given = Verdict.LIFT_CHANGED
    return _Judgement(
        given or doubt or Verdict.CANNOT_TELL_YET,
        given is not None,
        soundness,
        outcomes.definitions(session, name, closed_before=facts.as_of),
    )


def _funnel(
    session: Session, name: str, status: CampaignStatus, *, closed_before: datetime
) -> Funnel:
    mailed, delivered = outcomes.mailed(session, name, closed_before=closed_before)
    return Funnel(
        mailed=mailed,
        delivered=delivered,
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
    )
