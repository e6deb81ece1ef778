"""Which of several texts brings back more, under weekly looks."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from campaigns.domain.values import ArmCount
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.sequential import lift_after_all
from campaigns.rules.measure.strata import ArmPair

_FEWEST: Final = 2


class Comparison(NamedTuple):
    """One text against another.

    Attributes:
        one: A variant's name.
        other: Another's.
        difference: Rate of the one minus that of the other, so far.
    """

    one: str
    other: str
    difference: Estimate


class Texts(NamedTuple):
    """What is known of a step's texts.

    Attributes:
        best: The one that was shown to beat each other one; None while none was.
        comparisons: Of all pairs, in the order of their names.
    """

    best: str | None
    comparisons: tuple[Comparison, ...]


def compare(
    cohorts: Sequence[Mapping[str, ArmCount]], *, confidence: float = 0.95
) -> Texts:
    """Return which text of the treated arm is best, if that can be told.

    Every pair is compared by a sequence, with the error shared out over all pairs: the
    chance of ever calling a text better than one that is as good is at most 5 % over
    all pairs and looks.
    Source: C. E. Bonferroni's inequality over the sequences.

    Args:
        cohorts: Accounts by variant, in the order in which the cohorts' windows closed.
        confidence: That nothing false is said.

    >>> week = {"plain": ArmCount(900, 60), "story": ArmCount(900, 130)}
    >>> compare([week]).best
    'story'
    """
    names = sorted({name for cohort in cohorts for name in cohort})
    pairs = list(combinations(names, _FEWEST))
    each = 1 - (1 - confidence) / max(len(pairs), 1)
    found = tuple(
        Comparison(one, other, _difference(cohorts, one, other, each))
        for one, other in pairs
    )
    better = {
        (pair.one, pair.other) if pair.difference.low > 0 else (pair.other, pair.one)
        for pair in found
        if pair.difference.low > 0 or pair.difference.high < 0
    }
    best = [
        name
        for name in names
        if all((name, other) in better for other in names if other != name)
    ]
    return Texts(best[0] if best and pairs else None, found)


def _difference(
    cohorts: Sequence[Mapping[str, ArmCount]], one: str, other: str, confidence: float
) -> Estimate:
    empty = ArmCount()
    pairs = [
        ArmPair(cohort.get(one, empty), cohort.get(other, empty)) for cohort in cohorts
    ]
    return lift_after_all(pairs, confidence=confidence)
