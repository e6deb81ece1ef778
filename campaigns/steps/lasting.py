"""What lasts: who is still here some days later, and the money that runs again."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.domain.definitions import STAYS
from campaigns.domain.values import ArmCount, CohortCount
from campaigns.domain.words import Arm
from campaigns.present.lines import MoneyLine, StayLine
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair
from campaigns.steps.compare import CONFIDENCE, in_order, pair_of
from campaigns.store.money import AmountCount
from campaigns.store.stays import StayCount

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def stay_lines(
    counts: Sequence[CohortCount], seen: Iterable[StayCount], *, as_of: datetime
) -> tuple[StayLine, ...]:
    """Return who was still here, over the cohorts of which that is wholly known."""
    here = {(each.cohort, each.arm, each.days): each for each in seen}
    return tuple(_stay_line(days, in_order(counts), here, as_of) for days in STAYS)


def _stay_line(
    days: int,
    cohorts: Sequence[Sequence[CohortCount]],
    here: dict[tuple[int, Arm, int], StayCount],
    as_of: datetime,
) -> StayLine:
    everyone, returned = [], []
    for group in cohorts:
        pair = pair_of(group)
        seen = [here.get((group[0].cohort, arm, days)) for arm in Arm]
        stayed = [each.here if each else 0 for each in seen]
        is_whole = [each.seen if each else 0 for each in seen] == [
            arm.returned for arm in pair
        ]
        if is_whole and group[0].window_ends_at + timedelta(days=days) <= as_of:
            everyone.append(_pair([arm.accounts for arm in pair], stayed))
            returned.append(_pair([arm.returned for arm in pair], stayed))
    all_of, back = _sum(everyone), _sum(returned)
    return StayLine(
        days=days,
        treated=all_of.treated,
        holdout=all_of.holdout,
        treated_back=back.treated,
        holdout_back=back.holdout,
        lift=_lift(everyone),
        kept=_lift(returned),
    )


def _pair(accounts: Sequence[int], stayed: Sequence[int]) -> ArmPair:
    return ArmPair(*map(ArmCount, accounts, stayed))


def _sum(pairs: Sequence[ArmPair]) -> ArmPair:
    return ArmPair(
        *(
            ArmCount(
                sum(pair[arm].accounts for pair in pairs),
                sum(pair[arm].returned for pair in pairs),
            )
            for arm in (0, 1)
        )
    )


def _lift(pairs: Sequence[ArmPair]) -> Estimate | None:
    from campaigns.rules.measure.sequential import lift_after_all  # imports scipy

    both = _sum(pairs)
    if not both.treated.accounts or not both.holdout.accounts:
        return None
    return lift_after_all(pairs, confidence=CONFIDENCE)


def money_lines(
    amounts: Iterable[AmountCount], arms: Mapping[int, ArmPair]
) -> tuple[MoneyLine, ...]:
    """Return the money that runs again, by currency.

    Args:
        amounts: How many accounts of a cohort's arm pay how much again.
        arms: How many accounts each cohort has, by its number.
    """
    by_currency: dict[str, list[AmountCount]] = {}
    for each in amounts:
        by_currency.setdefault(each.currency, []).append(each)
    return tuple(
        _money_line(currency, of_it, arms)
        for currency, of_it in sorted(by_currency.items())
    )


def _money_line(
    currency: str, amounts: Sequence[AmountCount], arms: Mapping[int, ArmPair]
) -> MoneyLine:
    from campaigns.rules.measure.values import (  # imports numpy
        LEAST_ACCOUNTS,
        least_arm,
        money,
    )

    added, hangs_on_one = None, False
    ours, theirs = (_sum_of(amounts, arm) for arm in (Arm.TREATED, Arm.HOLDOUT))
    strata = _of_all(amounts, arms)
    if least_arm(strata) >= LEAST_ACCOUNTS:
        found = money(strata)
        treated = sum(pair.treated.accounts for pair in arms.values())
        # Of what runs, no more than all of it: cohorts weigh by what they can say.
        added = Estimate(
            *(min(round(treated * each), ours) for each in found.per_account)
        )
        hangs_on_one = found.hangs_on_one
    largest = max(each.minor for each in amounts)
    return MoneyLine(
        currency=currency,
        treated_minor=ours,
        holdout_minor=theirs,
        added_minor=added,
        largest_share=largest / (ours + theirs) if ours + theirs else 0.0,
        hangs_on_one=hangs_on_one,
    )


def _sum_of(amounts: Iterable[AmountCount], arm: Arm) -> int:
    return sum(each.minor * each.accounts for each in amounts if each.arm is arm)


def _of_all(
    amounts: Iterable[AmountCount], arms: Mapping[int, ArmPair]
) -> "list[tuple[NDArray[np.float64], NDArray[np.float64]]]":
    """Return what each account of each cohort's arms pays: most pay nothing."""
    import numpy as np

    paid: dict[tuple[int, Arm], NDArray[np.float64]] = {}
    together: dict[tuple[int, Arm], list[AmountCount]] = {}
    for each in amounts:
        together.setdefault((each.cohort, each.arm), []).append(each)
    for key, found in together.items():
        minor = np.array([each.minor for each in found], dtype=np.float64)
        paid[key] = np.repeat(minor, [each.accounts for each in found])

    def of_arm(cohort: int, arm: Arm, accounts: int) -> "NDArray[np.float64]":
        theirs = paid.get((cohort, arm), np.zeros(0))
        return np.concatenate([theirs, np.zeros(accounts - len(theirs))])

    return [
        (
            of_arm(cohort, Arm.TREATED, pair.treated.accounts),
            of_arm(cohort, Arm.HOLDOUT, pair.holdout.accounts),
        )
        for cohort, pair in arms.items()
    ]
