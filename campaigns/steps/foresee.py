"""Say what a campaign can show, before it is launched."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from campaigns.domain.campaign import Caps
from campaigns.errors import ActionRefusedError
from campaigns.steps.enrol import Programme, candidates_of, choose
from campaigns.store import campaigns, scores
from campaigns.store.session import Sessions

_LOOKED_BACK: Final = timedelta(days=28)
_WEEK: Final = timedelta(days=7)
_HALF: Final = 0.5
POWER: Final = 0.8


class Forecast(NamedTuple):
    """What a campaign can show.

    Attributes:
        audience: Accounts that it could enrol now.
        newcomers_a_week: How many more there will be each week, as in the last four.
        cohorts: Accounts of each cohort, as far as they can be foreseen.
        verdict_by: When the last cohort's window closes.
        least_lift: What it shows with a chance of 80 %; None if no lift whatever.
        with_half_held_out: The same if half were held out.
        shown_by: For lifts of 5, 10 and 15 points: when the window closes with which
            it has been shown in 80 % of such campaigns; None if in fewer.
    """

    audience: int
    newcomers_a_week: float
    cohorts: tuple[int, ...]
    verdict_by: datetime
    least_lift: float | None
    with_half_held_out: float | None
    shown_by: dict[float, datetime | None]


def foresee(
    sessions: Sessions,
    name: str,
    *,
    moments: Sequence[datetime],
    programme: Programme,
    base_rate: float,
    now: datetime,
) -> Forecast:
    """Return what a campaign can show if it enrols at some moments.

    Args:
        sessions: The database.
        name: The campaign, which was applied.
        moments: When its cohorts would be enrolled.
        programme: What holds for all campaigns.
        base_rate: Share of accounts that come back by themselves.
        now: The moment whose audience counts.

    Raises:
        ActionRefusedError: It has no date left to enrol on.
    """
    from campaigns.rules.measure import power  # scipy takes 0.5 s to import

    if not moments:
        raise ActionRefusedError(
            f"campaign {name!r} has no date left to enrol on; set a later schedule.on "
            "and apply again"
        )
    with sessions.begin() as session:
        definition = campaigns.definition_of(session, name)
        no_cap = definition.model_copy(update={"caps": Caps()})
        scored_as_of = scores.latest_batch(session, before=now) or now
        candidates = candidates_of(session, name, scored_as_of, now=now)
        chosen, _ = choose(session, no_cap, candidates, programme, now)
    since = now - _LOOKED_BACK
    new = sum(each.candidate.churned_at > since for each in chosen)
    a_week = new / (_LOOKED_BACK / _WEEK)
    cap = definition.caps.accounts_per_cohort
    sizes = _sizes(len(chosen), a_week, moments, cap)
    arms = _arms(sizes, programme.holdout_share)
    closed = [moment + programme.win_back.window for moment in moments]
    shown_by: dict[float, datetime | None] = {}
    for lift in (0.05, 0.1, 0.15):
        chances = power.chance_to_show(arms, base_rate=base_rate, lift=lift)
        reached = [
            at for at, chance in zip(closed, chances, strict=True) if chance >= POWER
        ]
        shown_by[lift] = reached[0] if reached else None
    return Forecast(
        audience=len(chosen),
        newcomers_a_week=a_week,
        cohorts=tuple(sizes),
        verdict_by=closed[-1],
        least_lift=power.least_lift_shown(arms, base_rate=base_rate, power=POWER),
        with_half_held_out=power.least_lift_shown(
            _arms(sizes, _HALF), base_rate=base_rate, power=POWER
        ),
        shown_by=shown_by,
    )


def _sizes(
    audience: int, a_week: float, moments: Sequence[datetime], cap: int | None
) -> list[int]:
    """Return how many accounts each cohort enrols, if as many churn as did lately."""
    left, before, sizes = float(audience), moments[0], []
    for moment in moments:
        left += a_week * ((moment - before) / _WEEK)
        size = int(left) if cap is None else min(int(left), cap)
        left, before = left - size, moment
        sizes.append(size)
    return sizes


def _arms(sizes: Sequence[int], holdout_share: float) -> list[tuple[int, int]]:
    holdouts = [round(size * holdout_share) for size in sizes]
    return [
        (size - held_out, held_out)
        for size, held_out in zip(sizes, holdouts, strict=True)
    ]
