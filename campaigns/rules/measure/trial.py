"""All that may be said of a randomised trial whose accounts are in a file."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from campaigns.domain.values import ArmCount
from campaigns.errors import InputError
from campaigns.rules.measure.lift import lift_interval, risk_ratio, score_interval
from campaigns.rules.measure.losses import ArmSizes, arm_sizes, unequal_loss
from campaigns.rules.measure.rates import Estimate, rate_interval
from campaigns.rules.measure.sequential import lift_sequence
from campaigns.rules.measure.strata import ArmPair
from campaigns.rules.measure.values import Amounts, Money, adjusted_lift, money
from campaigns.rules.measure.verdict import Soundness

CONTROLS: Final = frozenset(
    {"holdout", "control", "none", "no e-mail", "no email", "0", "0.0", "false"}
)
"""What an arm that got nothing is called, in small letters."""


class RatesApart(NamedTuple):
    """How far two rates are apart.

    Attributes:
        lift: Their difference with Newcombe's interval.
        score: The same with the score interval.
        at_all_looks: The same with one that stands further looks.
        ratio: Of the two; None where nobody of the control came back.
    """

    lift: Estimate | None
    score: Estimate | None
    at_all_looks: Estimate
    ratio: Estimate | None


class Contrast(NamedTuple):
    """One arm against the one that got nothing.

    Attributes:
        arm: The name of the arm.
        rates: If every outcome is 0 or 1.
        money: If not: the difference of the mean amounts.
        adjusted: The difference, less what was known before; None if nothing was.
        sizes: Whether the two arms are as large as they were to be; None if not asked.
    """

    arm: str
    rates: RatesApart | None
    money: Money | None
    adjusted: Estimate | None
    sizes: ArmSizes | None


class Trial(NamedTuple):
    """What a trial showed.

    Attributes:
        control: The name of the arm that got nothing.
        is_rate: Whether every outcome is 0 or 1.
        means: Accounts and mean outcome of each arm; a rate's with its interval.
        contrasts: Each other arm against the control; of several, all together last.
    """

    control: str
    is_rate: bool
    means: dict[str, tuple[int, Estimate]]
    contrasts: tuple[Contrast, ...]


def measured(
    outcomes: Mapping[str, Amounts],
    *,
    control: str | None = None,
    before: Mapping[str, Amounts] | None = None,
    control_share: float | None = None,
    mailed: Mapping[str, Amounts] | None = None,
    lost: Mapping[str, int] | None = None,
) -> Trial:
    """Return what a trial showed, each arm against the one that got nothing.

    Args:
        outcomes: Of each arm's accounts: 0 or 1, or an amount.
        control: The arm that got nothing; None to know it by its name.
        before: What was known of the same accounts, in the same order.
        control_share: Share of control among the accounts of control and one other arm,
            as it was planned; None to take any sizes as planned.
        mailed: How often the same accounts were written to, by anyone.
        lost: Further accounts of the arms, of which no outcome is known.

    Raises:
        InputError: There are fewer than two arms, one is empty or lacks an outcome, the
            control is not to be told, was written to, an arm lost other accounts than
            the control, or amounts are of too few accounts.
    """
    control = _control_among(outcomes, control)
    for arm, each in outcomes.items():
        _refuse_unknown(arm, each)
    _refuse_losses({arm: len(each) for arm, each in outcomes.items()}, lost, control)
    if mailed:
        _refuse_leak(mailed[control], control)
    is_rate = all(bool(np.isin(each, (0, 1)).all()) for each in outcomes.values())
    others = {arm: [arm] for arm in outcomes if arm != control}
    if len(others) > 1:
        others["any other"] = list(others)
    contrasts = []
    for arm, names in others.items():
        ours = np.concatenate([outcomes[name] for name in names])
        theirs = outcomes[control]
        adjusted = sizes = None
        if before:
            known = np.concatenate([before[name] for name in names])
            adjusted = adjusted_lift((ours, known), (theirs, before[control]))
        if control_share and len(names) == 1:
            sizes = arm_sizes(len(ours), len(theirs), holdout_share=control_share)
        rates = _rates_apart(_count(ours), _count(theirs)) if is_rate else None
        amounts = None if is_rate else money([(ours, theirs)])
        contrasts.append(Contrast(arm, rates, amounts, adjusted, sizes))
    means = {arm: (len(each), _mean(each, is_rate)) for arm, each in outcomes.items()}
    return Trial(control, is_rate, means, tuple(contrasts))


def _control_among(outcomes: Mapping[str, Amounts], asked: str | None) -> str:
    arms = ", ".join(repr(arm) for arm in outcomes) or "none"
    if asked is not None and asked not in outcomes:
        raise InputError(f"there is no arm {asked!r}; there are: {arms}")
    if len(outcomes) < 2:  # noqa: PLR2004 — an arm, and one to compare it with
        raise InputError(f"a trial has two arms or more; here are: {arms}")
    known = [arm for arm in outcomes if arm.lower() in CONTROLS]
    if asked is None and len(known) != 1:
        raise InputError(f"which arm got nothing? name it with --control; of: {arms}")
    return asked if asked is not None else known[0]


def _refuse_unknown(arm: str, outcomes: Amounts) -> None:
    if not len(outcomes):
        raise InputError(f"arm {arm!r} has no accounts: leave it out, or add them")
    (unknown,) = np.nonzero(~np.isfinite(outcomes))
    if len(unknown):
        raise InputError(
            f"arm {arm!r} has {len(unknown):,} accounts without an outcome, the first "
            f"at place {unknown[0] + 1:,}: an account that did not come back has 0"
        )


def _refuse_losses(
    known: Mapping[str, int], lost: Mapping[str, int] | None, control: str
) -> None:
    """Refuse arms of which unlike shares have an outcome: chance does not do that."""
    lost = lost or {}
    arms = {
        arm: ArmCount(accounts + lost.get(arm, 0), accounts)
        for arm, accounts in {**dict.fromkeys(lost, 0), **known}.items()
    }
    for arm, count in arms.items():
        loss = unequal_loss(count, arms[control])
        if loss is not None and loss.is_alarming:
            raise InputError(
                f"{lost.get(arm, 0):,} of {count.accounts:,} accounts of {arm!r} have "
                f"no outcome that can be read, of {control!r} {lost.get(control, 0):,} "
                f"of {arms[control].accounts:,}: between arms that lack unlike shares "
                "no difference tells of the mails. An account that did not come back "
                "has 0, not an empty cell"
            )


def _refuse_leak(mailed: Amounts, control: str) -> None:
    leak = ArmCount(len(mailed), int((mailed > 0).sum()))
    if Soundness(leak=leak).leaks:
        raise InputError(
            f"{leak.returned:,} of {leak.accounts:,} accounts of {control!r} were "
            "written to all the same: what mails did is in both arms, and no "
            "difference tells it. Leave these out of neither arm; find out who wrote "
            "to them, and run the trial again"
        )


def _count(outcomes: Amounts) -> ArmCount:
    return ArmCount(len(outcomes), int(outcomes.sum()))


def _mean(outcomes: Amounts, is_rate: bool) -> Estimate:
    rate = rate_interval(_count(outcomes)) if is_rate else None
    mean = float(outcomes.mean())
    return rate or Estimate(mean, mean, mean)


def _rates_apart(ours: ArmCount, theirs: ArmCount) -> RatesApart:
    (at_all_looks,) = lift_sequence([ArmPair(ours, theirs)])
    return RatesApart(
        lift_interval(ours, theirs),
        score_interval(ours, theirs),
        at_all_looks,
        risk_ratio(ours, theirs),
    )
