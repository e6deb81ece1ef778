"""`winback campaign power`."""

from typing import Final

from campaigns.present.words import day, percent
from campaigns.schedule import occurrences
from campaigns.steps.foresee import Forecast, foresee
from campaigns.store import campaigns
from campaigns.wiring.workspace import Workspace

_FEW_MAILS_DO_MORE: Final = 0.1


def print_power(workspace: Workspace, name: str, *, base_rate: float | None) -> None:
    """Print what a campaign can show, and what would help if that is little."""
    now = workspace.clock()
    base_rate = base_rate or workspace.settings.programme.baseline
    with workspace.sessions.begin() as session:
        schedule = campaigns.definition_of(session, name).schedule
    forecast = foresee(
        workspace.sessions,
        name,
        moments=[each for each in occurrences(schedule, now) if each >= now],
        programme=workspace.programme(),
        base_rate=base_rate,
        now=now,
    )
    print("\n".join(_lines(forecast, base_rate)))


def _lines(of: Forecast, base_rate: float) -> list[str]:
    sizes = ", ".join(f"{size:,}" for size in of.cohorts)
    last, weekly = day(of.verdict_by), f"about {of.newcomers_a_week:,.0f}"
    lines = [
        f"It could enrol {of.audience:,} accounts now, {weekly} more each week.",
        f"Cohorts of {sizes}: the last window closes on {last}.",
        f"If {percent(base_rate)} come back by themselves, and 8 times in 10:",
    ]
    for lift, moment in of.shown_by.items():
        when = f"shown by {day(moment)}" if moment else "not shown by then"
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
