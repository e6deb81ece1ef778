"""`winback campaign power`."""

from datetime import datetime
from typing import Final, NamedTuple

from campaigns.present.words import day, percent
from campaigns.schedule import occurrences
from campaigns.steps.compare import pair_of
from campaigns.steps.foresee import Forecast, foresee
from campaigns.store import campaigns, outcomes
from campaigns.wiring.workspace import Workspace

_FEW_MAILS_DO_MORE: Final = 0.1
_ENOUGH_HELD_OUT: Final = 100


class _BaseRate(NamedTuple):
    """The share that comes back by itself, and by what it is known."""

    share: float
    known_by: str


class Power(NamedTuple):
    """What a campaign can show.

    Attributes:
        lines: In words, with what would help if it is little.
        can_answer: Whether there is a lift that it would show.
    """

    lines: list[str]
    can_answer: bool


def power_of(
    workspace: Workspace, name: str, *, base_rate: float | None, now: datetime
) -> Power:
    """Return what a campaign can show if it is launched.

    Args:
        workspace: Whose campaign it is.
        name: The campaign.
        base_rate: Share that comes back by itself; None for what held-out accounts
            showed so far, or else the pilot's rate.
        now: The moment of the launch, whose audience counts.

    Raises:
        ActionRefusedError: It has no date left to enrol on.
    """
    with workspace.sessions.begin() as session:
        schedule = campaigns.definition_of(session, name).schedule
    moments = [each for each in occurrences(schedule, now) if each >= now]
    rate = _base_rate(workspace, base_rate)
    forecast = foresee(
        workspace.sessions,
        name,
        moments=moments,
        programme=workspace.programme(),
        base_rate=rate.share,
        now=now,
    )
    return Power(_lines(forecast, rate), forecast.least_lift is not None)


def _base_rate(workspace: Workspace, given: float | None) -> _BaseRate:
    if given is not None:
        return _BaseRate(given, "as you say")
    with workspace.sessions.begin() as session:
        held_out = pair_of(outcomes.matured_counts(session)).holdout
    if held_out.returned and held_out.accounts >= _ENOUGH_HELD_OUT:
        share = held_out.returned / held_out.accounts
        return _BaseRate(share, f"as of the {held_out.accounts:,} held out so far")
    return _BaseRate(workspace.settings.programme.baseline, "the pilot's rate")


def _lines(of: Forecast, rate: _BaseRate) -> list[str]:
    sizes = ", ".join(f"{size:,}" for size in of.cohorts)
    last, weekly = day(of.verdict_by), f"about {of.newcomers_a_week:,.0f}"
    lines = [
        f"It could enrol {of.audience:,} accounts now, {weekly} more each week.",
        f"Cohorts of {sizes}: the last window closes on {last}.",
        f"If {percent(rate.share)} come back by themselves ({rate.known_by}):",
    ]
    for lift, moment in of.shown_by.items():
        when = f"shown by {day(moment)}, 8 times in 10" if moment else "not shown"
        lines.append(f"  a lift of {lift * 100:.0f} points is {when}")
    return [*lines, *_answer(of)]


def _answer(of: Forecast) -> list[str]:
    least, half = of.least_lift, of.with_half_held_out
    if least is None:
        return [
            "This campaign cannot answer whether mails help: it is too small.",
            "What would help: more cohorts, or a wider audience.",
        ]
    said = f"The smallest lift that it shows is {least * 100:.1f} points."
    if least <= _FEW_MAILS_DO_MORE:
        return [said]
    more = f"; with half held out it would be {half * 100:.1f}" if half else ""
    return [
        f"{said} Few mails add as much: expect that it cannot tell.",
        f"What would help: more cohorts, a wider audience, or a larger holdout{more}.",
    ]
