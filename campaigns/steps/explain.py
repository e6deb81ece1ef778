"""Explain a number of a report: the rows that it was counted from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, NamedTuple

from campaigns.domain.values import Cohort, CohortCount
from campaigns.domain.words import Arm, MessageState
from campaigns.errors import NotFoundError
from campaigns.present.number_ids import ALL, id_part, id_parts, report_numbers
from campaigns.present.report import CampaignReport, WeeklyReport
from campaigns.steps.aftermath import answers_group, kind_of
from campaigns.steps.breakdowns import persona_group
from campaigns.steps.report import of_week
from campaigns.steps.verdicts import Reporting
from campaigns.store import afterwards, cohorts, evidence, money, outcomes
from campaigns.store.evidence import EnrolledAccount
from campaigns.store.session import Session

Rows = Iterable[tuple[Any, ...]]


class Explanation(NamedTuple):
    """Where a number of a report comes from.

    Attributes:
        value: What the report says.
        made_of: The numbers that it was worked out from, with their values, if it was
            not simply counted.
        columns: What the rows hold.
        rows: What was counted; of some, its last column is what adds up.
    """

    value: float
    made_of: dict[str, float]
    columns: Sequence[str]
    rows: Rows

    def add_up(self) -> tuple[list[tuple[Any, ...]], float]:
        """Return all rows, and what they add up to."""
        rows = list(self.rows)
        if self.columns[-1] in _ADDED_UP:
            return rows, sum(row[-1] for row in rows)
        return rows, len(rows)


@contextmanager
def explained(
    reporting: Reporting, id_: str, *, now: datetime
) -> Iterator[Explanation]:
    """Yield where the number with an id comes from; its rows are read as they go.

    Raises:
        NotFoundError: No number has this id; says which are like it.
    """
    week, _, way = id_.partition("/")
    weekly = of_week(reporting, week, now=now)
    known = dict(report_numbers(weekly))
    if id_ not in known:
        like = get_close_matches(id_, known, n=5, cutoff=0)
        raise NotFoundError(
            f"the report of {week} has no number {id_!r}; there are, for example: "
            + (", ".join(like) or "none")
        )
    name = way.partition("/")[0]
    parts = id_parts(way.removeprefix(f"{name}/"))
    made_of = _made_of(parts, f"{week}/{name}", known)
    with reporting.sessions.begin() as session:
        if name == ALL:
            columns, rows = _of_all(session, weekly, parts)
        else:
            (campaign,) = (each for each in weekly.campaigns if each.name == name)
            columns, rows = _rows(session, weekly, campaign, parts)
        yield Explanation(known[id_], made_of, columns, rows)


_COUNTED: Final = {"accounts", "returned", "features", "promoters", "detractors"}
_ADDED_UP: Final = {"minor", "features"}
"""Columns whose sum is the number; of all others the rows are counted."""


def _made_of(
    parts: Sequence[str], above: str, known: dict[str, float]
) -> dict[str, float]:
    """Return the counts that a rate, a difference or an interval is made of."""
    if parts[0] not in {
        "comparison",
        "cohorts",
        "looks",
        "breakdowns",
        "stays",
        "money",
        "adoption",
        "nps",
        "still_open",
    }:
        return {}
    if parts[-1] in _COUNTED or parts[-1].endswith("_minor"):
        return {}
    # A rate is three numbers, and they stand one level below what they are made of.
    is_estimate = parts[-1] in {"value", "low", "high"}
    place = "/".join([above, *map(id_part, parts[: -2 if is_estimate else -1])])
    if _is_expected(parts):
        place += "/comparison/treated"
    return {
        id_: value
        for id_, value in known.items()
        if id_.startswith(f"{place}/")
        and id_.count("/") <= place.count("/") + 2
        and (id_.rpartition("/")[2] in _COUNTED or id_.endswith("_minor"))
        and "so_far" not in id_.removeprefix(place)
    }


def _of_all(
    session: Session, weekly: WeeklyReport, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    """Return the columns and the rows of one number of all campaigns together."""
    names = weekly.programme.campaigns if weekly.programme else ()
    until = date.fromisoformat(parts[1]) if parts[0] == "looks" else date.max
    arm = next((arm for arm in Arm for word in parts if word.startswith(arm)), None)
    return ("campaign", *EnrolledAccount._fields), (
        (name, *each)
        for name in names
        for each in _enrolled(session, weekly, name)
        if _is_closed(weekly.as_of, each)
        and each.window_ends_at.astimezone(UTC).date() <= until
        and arm in {None, each.arm}
        and (each.came_back or parts[-1] != "returned")
    )


def _rows(
    session: Session, weekly: WeeklyReport, campaign: CampaignReport, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    """Return the columns and the rows of one number of a campaign."""
    of = {
        "funnel": _of_funnel,
        "cohorts_planned": _of_cohorts,
        "money": _of_money,
        "texts": _of_texts,
        "adoption": _of_adoption,
        "nps": _of_nps,
    }
    if parts[0] in of:
        return of[parts[0]](session, weekly, campaign.name, parts[1:])
    days = int(parts[1]) if parts[0] == "stays" else 0
    wanted = _wanted(session, weekly, campaign, parts)
    everyone = _enrolled(session, weekly, campaign.name, days=days)
    return EnrolledAccount._fields, (each for each in everyone if wanted(each))


def _enrolled(
    session: Session, weekly: WeeklyReport, name: str, *, days: int = 0
) -> Iterator[EnrolledAccount]:
    return evidence.enrolled(
        session, name, as_of=weekly.as_of, known_until=weekly.known_until, days=days
    )


def _of_cohorts(
    session: Session, _weekly: WeeklyReport, name: str, _parts: list[str]
) -> tuple[Sequence[str], Rows]:
    return Cohort.__slots__, map(astuple, cohorts.cohorts_of(session, name))


def _of_money(
    session: Session, weekly: WeeklyReport, name: str, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    currency, what = parts[:2]
    arm = what.removesuffix("_minor")
    of_arms = {arm} & set(Arm) or set(Arm)
    return money.Amount._fields, (
        each
        for each in money.regained(session, name, closed_before=weekly.as_of)
        if each.currency == currency and each.arm in of_arms
    )


def _of_texts(
    session: Session, weekly: WeeklyReport, name: str, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    step, _, text = parts[:3]
    drawn = evidence.given_text(
        session, name, int(step.removeprefix("step ")), text, closed_by=weekly.as_of
    )
    wants_back = parts[-1] == "returned"
    return evidence.GivenText._fields, (
        each for each in drawn if each.came_back or not wants_back
    )


def _of_adoption(
    session: Session, weekly: WeeklyReport, name: str, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    persona, _, days, which = parts[:4]
    arm = which.removesuffix("_average")
    known = weekly.known_until or weekly.as_of
    everyone = afterwards.adopted(session, name, days=int(days), before=known)
    group_of = persona_group(_matured(session, weekly, name))
    columns = afterwards.Adopted._fields
    # Who used none is counted too, so rows are what counts unless features are.
    used = columns if parts[-1] != "accounts" else columns[:-1]
    return used, (
        each[: len(used)]
        for each in everyone
        if each.arm == arm and group_of(each.persona) == persona
    )


def _of_nps(
    session: Session, weekly: WeeklyReport, name: str, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    segment, which = parts[:2]
    arms = {which.removesuffix("_score")} & set(Arm) or set(Arm)
    kind = {"promoters": 1, "detractors": -1}.get(parts[-1])
    told = partial(afterwards.answers, session, name, before=weekly.as_of)
    group_of = answers_group(told())
    return afterwards.Answer._fields, (
        each
        for each in told()
        if group_of(each.account_segment) == segment
        and each.arm in arms
        and kind in {None, kind_of(each.score)}
    )


def _of_funnel(
    session: Session, weekly: WeeklyReport, name: str, parts: list[str]
) -> tuple[Sequence[str], Rows]:
    what, which = parts[0], parts[-1]
    if what in {"mailed", "delivered"}:
        mailed = evidence.mailed(session, name, has_arrived=what == "delivered")
        return EnrolledAccount._fields, (
            each
            for each in _enrolled(session, weekly, name)
            if each.enrolment in mailed
            and each.arm == Arm.TREATED
            and _is_closed(weekly.as_of, each)
        )
    if what in {"churned", "refused"}:
        refused: Rows = evidence.refused(session, name)
        rows: Rows
        if what == "refused":
            rows = (each for each in refused if each[1] == which)
        else:
            rows = (
                each
                for group in (evidence.enrolled_by_latest(session, name), refused)
                for each in group
            )
        return evidence.RefusedAccount._fields, rows
    if what == "enrolled":
        everyone = _enrolled(session, weekly, name)
        return EnrolledAccount._fields, (e for e in everyone if e.arm == which)
    planned = evidence.messages(
        session,
        name,
        is_clicked=what == "clicked",
        is_unsubscribed=what == "unsubscribed",
    )
    wanted: dict[str, Callable[[evidence.PlannedMessage], bool]] = {
        "messages": lambda each: each.state == which,
        "skipped": lambda each: (
            each.state == MessageState.SKIPPED and each.reason == which
        ),
        "delivery": lambda each: (
            each.state == MessageState.ACCEPTED and each.delivery == which
        ),
    }
    keep = wanted.get(what)
    rows = (each for each in planned if keep is None or keep(each))
    return evidence.PlannedMessage._fields, rows


def _wanted(
    session: Session, weekly: WeeklyReport, campaign: CampaignReport, parts: list[str]
) -> Callable[[EnrolledAccount], bool]:
    """Return what tells the enrolments of a number from all others."""
    rules: list[Callable[[EnrolledAccount], bool]] = []
    if parts[0] == "still_open":
        rules.append(lambda each: each.is_open)
    else:
        rules.append(partial(_is_closed, weekly.as_of))
    # A group may be called like an arm.
    words = parts[:3] + parts[4:] if parts[0] == "breakdowns" else parts
    arm = next((arm for arm in Arm for word in words if word.startswith(arm)), None)
    if _is_expected(parts):
        arm = Arm.TREATED
    if arm is not None:
        rules.append(lambda each: each.arm == arm)
    if parts[0] == "still_open" and parts[-1] == "returned":
        rules.append(lambda each: each.is_back_early)
    elif parts[-1] == "returned" or any(word.endswith("_back") for word in words):
        rules.append(lambda each: bool(each.came_back))
    if parts[0] == "stays":
        rules.append(partial(_is_seen, weekly, int(parts[1])))
        if parts[-1] == "returned":
            rules.append(lambda each: bool(each.is_still_here))
    if parts[0] == "cohorts":
        numbered = _cohorts(campaign, int(parts[1]), is_so_far="so_far" in parts)
        rules.append(lambda each: each.cohort in numbered)
    if parts[0] == "breakdowns":
        rules.append(_is_in_group(session, weekly, campaign.name, parts[1], parts[3]))
    return lambda each: all(rule(each) for rule in rules)


def _is_expected(parts: Sequence[str]) -> bool:
    """Say whether it is what a group's treated accounts let expect."""
    return parts[0] == "breakdowns" and parts[-2] == "expected"


def _is_closed(as_of: datetime, each: EnrolledAccount) -> bool:
    return each.came_back is not None and each.window_ends_at <= as_of


def _is_seen(weekly: WeeklyReport, days: int, each: EnrolledAccount) -> bool:
    known = weekly.known_until or weekly.as_of
    return each.window_ends_at + timedelta(days=days) <= known


def _cohorts(campaign: CampaignReport, number: int, *, is_so_far: bool) -> set[int]:
    if not is_so_far:
        return {number}
    # They stand in the order in which their windows closed.
    numbers_in_order = [line.number for line in campaign.cohorts]
    return set(numbers_in_order[: numbers_in_order.index(number) + 1])


def _is_in_group(
    session: Session, weekly: WeeklyReport, name: str, by: str, group: str
) -> Callable[[EnrolledAccount], bool]:
    if by != "persona":
        return lambda each: getattr(each, by) == group
    group_of = persona_group(_matured(session, weekly, name))
    return lambda each: group_of(each.persona) == group


def _matured(session: Session, weekly: WeeklyReport, name: str) -> list[CohortCount]:
    return [
        count
        for count in outcomes.matured_counts(session)
        if count.campaign == name and count.window_ends_at <= weekly.as_of
    ]
