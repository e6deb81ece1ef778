"""What accounts do and say afterwards, by persona and by the company's segments."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from campaigns.domain.definitions import STAYS
from campaigns.domain.words import Arm
from campaigns.present.lines import (
    Adoption,
    AdoptionLine,
    AdoptionPoint,
    Answers,
    NpsLine,
)
from campaigns.rules.measure.rates import Estimate
from campaigns.steps.breakdowns import group_by_size
from campaigns.steps.compare import CONFIDENCE
from campaigns.store import afterwards
from campaigns.store.afterwards import Answer
from campaigns.store.session import Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    for found in afterwards.adoption(session, campaign, before=as_of):
        key = group_of(found.persona), found.days, found.arm
        before = sums[key]
        sums[key] = Adoption(
            before.accounts + found.accounts, before.features + found.features
        )
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
    session: Session, campaign: str, *, as_of: datetime
) -> tuple[NpsLine, ...]:
    """Return what each account segment answers since it was enrolled; none if nobody.

    Args:
        session: The database.
        campaign: Its name.
        as_of: Up to when answers count.
    """
    told = list(afterwards.answers(session, campaign, before=as_of))
    group_of = answers_group(told)
    by_segment: defaultdict[str, list[Answer]] = defaultdict(list)
    for each in told:
        by_segment[group_of(each.account_segment)].append(each)
    confidence = 1 - (1 - CONFIDENCE) / max(len(by_segment), 1)
    return tuple(
        _nps_line(segment, by_segment[segment], confidence)
        for segment in sorted(by_segment)
    )


def answers_group(told: Iterable[Answer]) -> Callable[[str | None], str]:
    """Return what names the group of an account segment."""
    return group_by_size(Counter(each.account_segment for each in told))


def kind_of(score: int) -> int:
    """Return 1 for a promoter, -1 for a detractor, and 0 for who is neither.

    Source: F. Reichheld, "The One Number You Need to Grow", Harvard Business Review,
    December 2003.

    >>> [kind_of(score) for score in (0, 6, 7, 8, 9, 10)]
    [-1, -1, 0, 0, 1, 1]
    """
    return (score >= _LEAST_PROMOTER) - (score <= _MOST_DETRACTOR)


def _nps_line(segment: str, told: list[Answer], confidence: float) -> NpsLine:
    ours, theirs = ([each for each in told if each.arm is arm] for arm in Arm)
    return NpsLine(
        segment,
        treated=_answers(ours),
        holdout=_answers(theirs),
        treated_score=_score(ours),
        holdout_score=_score(theirs),
        difference=_difference(ours, theirs, confidence),
    )


def _answers(told: list[Answer]) -> Answers:
    kinds = [kind_of(each.score) for each in told]
    return Answers(len(kinds), promoters=kinds.count(1), detractors=kinds.count(-1))


def _score(told: list[Answer]) -> float | None:
    return sum(kind_of(each.score) for each in told) / len(told) if told else None


def _difference(
    ours: list[Answer], theirs: list[Answer], confidence: float
) -> Estimate | None:
    import numpy as np

    from campaigns.rules.measure.values import (
        LEAST_ACCOUNTS,
        difference_of_means,
        least_arm,
    )

    cohorts = {each.cohort for each in ours} & {each.cohort for each in theirs}
    # Shares held out may have changed: each cohort is compared by itself.
    strata = [
        (_kinds(ours, cohort), _kinds(theirs, cohort)) for cohort in sorted(cohorts)
    ]
    if least_arm(strata) < LEAST_ACCOUNTS or not all(
        np.ptp(np.concatenate(arm)) for arm in zip(*strata, strict=True)
    ):
        return None
    return difference_of_means(strata, confidence=confidence)


def _kinds(told: list[Answer], cohort: int) -> "NDArray[np.float64]":
    import numpy as np

    kinds = [kind_of(each.score) for each in told if each.cohort == cohort]
    return np.array(kinds, dtype=np.float64)
