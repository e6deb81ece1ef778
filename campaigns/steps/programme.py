"""All campaigns together: what their mails add on the whole."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from campaigns.domain.values import CohortCount
from campaigns.domain.words import CampaignState, Verdict
from campaigns.present import remarks, words
from campaigns.present.lines import ProgrammeLook
from campaigns.present.report import CampaignReport, Programme
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.verdict import Soundness, doubt_of
from campaigns.steps.compare import in_order, pair_of, pooled_look, windows_of
from campaigns.steps.verdicts import Reporting


class Judged(NamedTuple):
    """A campaign's report, and what its comparison is worth.

    Attributes:
        report: The report.
        soundness: What may make the comparison worthless.
        definitions: By which definitions of a win-back its cohorts were counted.
    """

    report: CampaignReport
    soundness: Soundness
    definitions: frozenset[str]


def programme(
    reporting: Reporting,
    counts: Sequence[CohortCount],
    judged: Sequence[Judged],
    *,
    as_of: datetime,
) -> Programme | None:
    """Return what all campaigns show together; None if less than two can be counted.

    Args:
        reporting: What reports are made with.
        counts: The closed cohorts of all campaigns.
        judged: All campaigns that were launched.
        as_of: The moment of the report.
    """
    from campaigns.rules.measure.pooled import (  # imports scipy
        mean_lift_sequence,
        programme_verdict,
    )

    closed = [each for each in judged if each.report.has_counts]
    doubts = {each.report.name: _doubt(reporting, each) for each in closed}
    sound = [each for each in closed if doubts[each.report.name] is None]
    if len(closed) < 2 or not sound:  # noqa: PLR2004 — one campaign says it itself
        return None
    names = tuple(each.report.name for each in sound)
    cohorts = in_order([each for each in counts if each.campaign in names])
    pairs = [pair_of(each) for each in cohorts]
    lifts = mean_lift_sequence(pairs)
    last = pooled_look(reporting.baseline, pairs, lifts[-1])
    is_over = all(_is_over(each, doubts, as_of) for each in judged)
    working = [
        each.report.name for each in sound if each.report.verdict is Verdict.WORKS
    ]
    stale = doubt_of(_oldest(judged), None)
    verdict = stale or programme_verdict(pairs, lifts[-1], is_over=is_over)
    return Programme(
        verdict=verdict,
        sentence=words.programme_sentence(
            verdict, last, window_days=windows_of(each for each, *_ in cohorts)
        ),
        baseline_sentence=words.baseline_sentence(
            last,
            baseline=reporting.baseline.rate,
            accounts=reporting.baseline.accounts,
        ),
        next_step=words.programme_next_step(verdict, working),
        warnings=remarks.programme_warnings(
            {name: doubt for name, doubt in doubts.items() if doubt is not None},
            definitions=frozenset().union(*(each.definitions for each in sound)),
            current=reporting.win_back.version,
        ),
        campaigns=names,
        standing=_standing(cohorts, pairs, names),
        comparison=last,
        looks=_looks(reporting, cohorts, pairs, lifts),
    )


def _doubt(reporting: Reporting, judged: Judged) -> Verdict | None:
    """Return why a campaign is not to be counted; old data alone are no reason."""
    fresh = judged.soundness._replace(unknown_for=timedelta())
    lift = judged.report.comparison.lift
    return doubt_of(fresh, lift, unheard_of=reporting.unheard_of)


def _oldest(judged: Sequence[Judged]) -> Soundness:
    return Soundness(unknown_for=max(each.soundness.unknown_for for each in judged))


def _is_over(
    judged: Judged, doubts: Mapping[str, Verdict | None], as_of: datetime
) -> bool:
    """Say whether nothing is awaited of a campaign."""
    report = judged.report
    if report.state == CampaignState.PAUSED and not report.still_open:
        return True
    last = report.last_window_ends_at
    # One that is not counted never gets its verdict.
    is_told = report.is_given or doubts.get(report.name) is not None
    return is_told and last is not None and last <= as_of


def _standing(
    cohorts: Sequence[Sequence[CohortCount]],
    pairs: Sequence[ArmPair],
    names: Sequence[str],
) -> tuple[str, ...]:
    """Return the campaigns whose effect stands when all are judged at once."""
    from campaigns.rules.measure.pooled import standing_together
    from campaigns.rules.measure.sequential import lift_evidence

    evidence = [
        lift_evidence(
            [
                pair
                for pair, (first, *_) in zip(pairs, cohorts, strict=True)
                if first.campaign == name
            ],
            0.0,
        )[-1]
        for name in names
    ]
    stands = standing_together(evidence)
    return tuple(name for name, is_one in zip(names, stands, strict=True) if is_one)


def _looks(
    reporting: Reporting,
    cohorts: Sequence[Sequence[CohortCount]],
    pairs: Sequence[ArmPair],
    lifts: Sequence[Estimate],
) -> tuple[ProgrammeLook, ...]:
    """Return the comparison at the end of each day on which windows closed."""
    last_of_day = {
        _day(first.window_ends_at): n for n, (first, *_) in enumerate(cohorts)
    }
    return tuple(
        ProgrammeLook(
            day,
            pooled_look(reporting.baseline, pairs[: last + 1], lifts[last]),
        )
        for day, last in last_of_day.items()
    )


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
