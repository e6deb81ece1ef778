"""The comparison cohort by cohort, and group by group."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

from campaigns.domain.campaign import GENERAL
from campaigns.domain.values import CohortCount
from campaigns.present.lines import Breakdown, CohortLine, Comparison, GroupLine
from campaigns.rules.eligibility import DORMANCIES
from campaigns.steps.compare import (
    CONFIDENCE,
    Baseline,
    in_order,
    last_look,
    pair_of,
    pairs_of,
)
from campaigns.store.cohorts import EmptyCohort

NOT_KNOWN: Final = "not known"
_TITLES: Final = {GENERAL: "no clear segment"}
OTHERS: Final = "all others"
_MOST_GROUPS: Final = 8


def breakdowns(
    counts: Sequence[CohortCount], *, baseline: Baseline, titles: Mapping[str, str]
) -> tuple[Breakdown, ...]:
    """Return the comparison by segment, by dormancy and by persona.

    One in which all accounts are in one group tells nothing and is left out, but for
    the segments.
    """
    group_of = persona_group(counts)
    titles = _TITLES | dict(titles)
    groups: dict[str, Callable[[CohortCount], str]] = {
        "segment": lambda each: each.segment,
        "dormancy": lambda each: each.dormancy,
        "persona": lambda each: group_of(each.persona),
    }
    found = [
        Breakdown(by, _lines(counts, group, baseline, titles))
        for by, group in groups.items()
    ]
    return tuple(each for each in found if each.by == "segment" or len(each.lines) > 1)


def persona_group(counts: Sequence[CohortCount]) -> Callable[[str | None], str]:
    """Return what names the group of a persona: a rare one is among all others."""
    accounts: Counter[str | None] = Counter()
    for each in counts:
        accounts[each.persona] += each.accounts
    return group_by_size(accounts)


def group_by_size(sizes: Mapping[str | None, int]) -> Callable[[str | None], str]:
    """Return what names the group of a name: a rare one is among all others."""
    accounts: Counter[str] = Counter()
    for name, size in sizes.items():
        accounts[name or NOT_KNOWN] += size
    by_size = sorted(accounts, key=lambda name: (-accounts[name], name))
    is_many = len(by_size) > _MOST_GROUPS
    shown = set(by_size[: _MOST_GROUPS - 1] if is_many else by_size)

    def group(wanted: str | None) -> str:
        name = wanted or NOT_KNOWN
        return name if name in shown else OTHERS

    return group


def _lines(
    counts: Sequence[CohortCount],
    group: Callable[[CohortCount], str],
    baseline: Baseline,
    titles: Mapping[str, str],
) -> tuple[GroupLine, ...]:
    from campaigns.rules.measure.segments import shrunken_rates  # imports scipy

    names = sorted({group(count) for count in counts}, key=_place)
    confidence = 1 - (1 - CONFIDENCE) / max(len(names), 1)
    compared = [
        last_look(
            baseline,
            pairs_of([count for count in counts if group(count) == name]),
            confidence=confidence,
        )
        for name in names
    ]
    expected = shrunken_rates([each.treated for each in compared])
    return tuple(
        GroupLine(name, titles.get(name, name), each, rate)
        for name, each, rate in zip(names, compared, expected, strict=True)
    )


def _place(name: str) -> tuple[int, str]:
    """Return what puts dormancy bands into their own order and all else by name."""
    return (DORMANCIES.index(name) if name in DORMANCIES else -1), name


def by_cohort(
    counts: Sequence[CohortCount],
    compared: Sequence[Comparison],
    empty: Sequence[EmptyCohort],
) -> tuple[CohortLine, ...]:
    """Return each cohort's own counts, and the comparison so far.

    Args:
        counts: Of the closed cohorts.
        compared: The comparison before the first of them closed, and after each.
        empty: The closed cohorts that nobody is in.
    """
    groups = {group[0].cohort: group for group in in_order(counts)}
    closed = [
        (first.window_ends_at, number, first.enrolled_at)
        for number, (first, *_) in groups.items()
    ] + [(each.window_ends_at, each.number, each.enrolled_at) for each in empty]
    looks, lines = iter(compared), []
    so_far = next(looks)
    for closed_at, number, enrolled_at in sorted(closed):
        group = groups.get(number, [])
        so_far = next(looks) if group else so_far
        lines.append(
            CohortLine(
                number=number,
                enrolled_on=_day(enrolled_at),
                window_closed_on=_day(closed_at),
                treated=pair_of(group).treated,
                holdout=pair_of(group).holdout,
                so_far=so_far,
            )
        )
    return tuple(lines)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
