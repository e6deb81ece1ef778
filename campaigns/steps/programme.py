"""All campaigns together: what their mails add on the whole."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from campaigns.domain.values import CohortCount
from campaigns.domain.words import Verdict
from campaigns.present import words
from campaigns.present.lines import ProgrammeLook
from campaigns.present.report import CampaignReport, Programme
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.verdict import Soundness, doubt_of
from campaigns.steps.compare import in_order, pair_of, pooled_look
from campaigns.steps.verdicts import Reporting

_LEFT_OUT = {Verdict.MISMATCH, Verdict.TOO_GOOD}


def programme(
    reporting: Reporting,
    counts: Sequence[CohortCount],
    found: Sequence[CampaignReport],
    *,
    unknown_for: timedelta,
) -> Programme | None:
    """Return what all campaigns show together; None if less than two can be counted.

    Args:
        reporting: What reports are made with.
        counts: The closed cohorts of all campaigns.
        found: The reports of the campaigns.
        unknown_for: For how long it has not been known who came back.
    """
    from campaigns.rules.measure.pooled import (  # imports scipy
        mean_lift_sequence,
        programme_verdict,
    )

    closed = [each for each in found if each.cohorts]
    sound = {each.name: each for each in closed if each.verdict not in _LEFT_OUT}
    if len(closed) < 2 or not sound:  # noqa: PLR2004 — one campaign says it itself
        return None
    cohorts = in_order([each for each in counts if each.campaign in sound])
    pairs = [pair_of(each) for each in cohorts]
    lifts = mean_lift_sequence(pairs)
    last = pooled_look(reporting.baseline, pairs, lifts[-1])
    shown = programme_verdict(
        pairs, lifts, is_over=all(each.is_given for each in sound.values())
    )
    verdict = shown if last.lift is not None else Verdict.NO_HOLDOUT
    if verdict is Verdict.CANNOT_TELL_YET:
        verdict = doubt_of(Soundness(unknown_for=unknown_for), None) or verdict
    return Programme(
        verdict=verdict,
        sentence=words.programme_sentence(
            verdict, last, window_days=reporting.win_back.window.days
        ),
        baseline_sentence=words.baseline_sentence(
            last,
            baseline=reporting.baseline.rate,
            accounts=reporting.baseline.accounts,
        ),
        next_step=words.programme_next_step(verdict),
        campaigns=tuple(sound),
        left_out=tuple(each.name for each in closed if each.name not in sound),
        standing=_standing(cohorts, pairs, tuple(sound)),
        comparison=last,
        looks=_looks(reporting, cohorts, pairs, lifts),
    )


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
            replace(
                pooled_look(reporting.baseline, pairs[: last + 1], lifts[last]),
                one_look=None,
            ),
        )
        for day, last in last_of_day.items()
    )


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
