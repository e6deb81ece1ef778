"""What accounts do and say afterwards, by persona and by segment."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from campaigns.domain.definitions import STAYS
from campaigns.domain.words import Arm
from campaigns.present.report import (
    Adoption,
    AdoptionLine,
    AdoptionPoint,
    Answers,
    NpsLine,
)
from campaigns.rules.measure.rates import Estimate
from campaigns.store import afterwards
from campaigns.store.session import Session

_LEAST_PROMOTER: Final = 9
_MOST_DETRACTOR: Final = 6


def adoption_lines(
    session: Session,
    campaign: str,
    *,
    group_of: Callable[[str | None], str],
    as_of: datetime,
) -> tuple[AdoptionLine, ...]:
    """Return how many features each persona uses again; none where nobody came back.

    Args:
        session: The database.
        campaign: Its name.
        group_of: Names the group of a persona.
        as_of: Up to when returns and use are known.
    """
    sums: defaultdict[tuple[str, int, Arm], Adoption] = defaultdict(Adoption)
    for days in STAYS:
        found = afterwards.adoption(session, campaign, days=days, before=as_of)
        for persona, arm, accounts, features in found:
            key = group_of(persona), days, arm
            before = sums[key]
            sums[key] = Adoption(before.accounts + accounts, before.features + features)
    return tuple(
        AdoptionLine(
            persona,
            tuple(
                _point(days, *(sums[persona, days, arm] for arm in Arm))
                for days in STAYS
            ),
        )
        for persona in sorted({persona for persona, *_ in sums})
    )


def _point(days: int, ours: Adoption, theirs: Adoption) -> AdoptionPoint:
    return AdoptionPoint(
        days,
        ours,
        theirs,
        treated_average=_average(ours),
        holdout_average=_average(theirs),
    )


def _average(used: Adoption) -> float | None:
    return used.features / used.accounts if used.accounts else None


def nps_lines(
    session: Session, campaign: str, *, titles: Mapping[str, str], as_of: datetime
) -> tuple[NpsLine, ...]:
    """Return what each segment answers since it was enrolled; none without answers.

    Args:
        session: The database.
        campaign: Its name.
        titles: What people call segments.
        as_of: Up to when answers count.
    """
    scores: defaultdict[tuple[str, Arm], list[int]] = defaultdict(list)
    for each in afterwards.answers(session, campaign, before=as_of):
        scores[each.segment, each.arm].append(kind_of(each.score))
    return tuple(
        _nps_line(segment, titles.get(segment, segment), scores)
        for segment in sorted({segment for segment, _ in scores})
    )


def kind_of(score: int) -> int:
    """Return 1 for a promoter, -1 for a detractor, and 0 for who is neither.

    Source: F. Reichheld, "The One Number You Need to Grow", Harvard Business Review,
    December 2003.

    >>> [kind_of(score) for score in (0, 6, 7, 8, 9, 10)]
    [-1, -1, 0, 0, 1, 1]
    """
    return (score >= _LEAST_PROMOTER) - (score <= _MOST_DETRACTOR)


def _nps_line(
    segment: str, title: str, scores: Mapping[tuple[str, Arm], list[int]]
) -> NpsLine:
    ours, theirs = (scores.get((segment, arm), []) for arm in Arm)
    return NpsLine(
        segment,
        title,
        treated=_answers(ours),
        holdout=_answers(theirs),
        treated_score=_score(ours),
        holdout_score=_score(theirs),
        difference=_difference(ours, theirs),
    )


def _answers(kinds: list[int]) -> Answers:
    return Answers(len(kinds), promoters=kinds.count(1), detractors=kinds.count(-1))


def _score(kinds: list[int]) -> float | None:
    return sum(kinds) / len(kinds) if kinds else None


def _difference(ours: list[int], theirs: list[int]) -> Estimate | None:
    import numpy as np

    from campaigns.rules.measure.values import LEAST_ACCOUNTS, difference_of_means

    if min(len(ours), len(theirs)) < LEAST_ACCOUNTS:
        return None
    return difference_of_means(
        np.array(ours, dtype=float), np.array(theirs, dtype=float)
    )
