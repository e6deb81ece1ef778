"""What lasts: who is still here some days later, and the money that runs again."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from campaigns.domain.definitions import STAYS
from campaigns.domain.values import ArmCount, CohortCount
from campaigns.domain.words import Arm
from campaigns.present.lines import MoneyLine, StayLine
from campaigns.rules.measure.rates import Estimate
from campaigns.rules.measure.strata import ArmPair
from campaigns.steps.compare import CONFIDENCE, in_order, pair_of
from campaigns.store.money import Amount
from campaigns.store.stays import StayCount


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
    amounts: Iterable[Amount], *, treated: int, holdout: int
) -> tuple[MoneyLine, ...]:
    """Return the money that runs again, by currency.

    Args:
        amounts: Of each account that pays again.
        treated: How many accounts were written to.
        holdout: How many were held out.
    """
    by_currency: dict[str, dict[Arm, list[int]]] = {}
    for amount in amounts:
        arms = by_currency.setdefault(amount.currency, {arm: [] for arm in Arm})
        arms[amount.arm].append(amount.minor)
    return tuple(
        _money_line(currency, arms[Arm.TREATED], arms[Arm.HOLDOUT], treated, holdout)
        for currency, arms in sorted(by_currency.items())
    )


def _money_line(
    currency: str, ours: list[int], theirs: list[int], treated: int, holdout: int
) -> MoneyLine:
    import numpy as np

    from campaigns.rules.measure.values import LEAST_ACCOUNTS, money

    added, largest, hangs_on_one = None, max(ours + theirs), False
    total = sum(ours) + sum(theirs)
    if min(treated, holdout) >= LEAST_ACCOUNTS:
        found = money(
            np.array(ours + [0] * (treated - len(ours)), dtype=float),
            np.array(theirs + [0] * (holdout - len(theirs)), dtype=float),
        )
        added = Estimate(*(round(treated * each) for each in found.per_account))
        hangs_on_one = found.hangs_on_one
    return MoneyLine(
        currency=currency,
        treated_minor=sum(ours),
        holdout_minor=sum(theirs),
        added_minor=added,
        largest_share=largest / total if total else 0.0,
        hangs_on_one=hangs_on_one,
    )
