"""The one sentence a report may say, and when."""

from datetime import timedelta
from typing import Final, NamedTuple

from campaigns.domain.values import ArmCount
from campaigns.domain.words import Verdict
from campaigns.rules.measure.losses import Loss
from campaigns.rules.measure.rates import Estimate

_LEAK_ALARM: Final = 0.01
UNHEARD_OF: Final = 0.3
"""In six public logs 5 to 35 % came back in 90 days with nothing sent; mails that add
more than 30 points to it are likelier a mistake in the data."""

_WIDEST: Final = 0.2
"""An interval wider than this, from end to end in shares, says nothing of use."""

_MISSED_BY_CHANCE: Final = 100
"""Of fewer accounts a holdout of one in twenty may have drawn none."""

STALE_AFTER: Final = timedelta(days=7)

AT_THE_END: Final = {
    Verdict.NO_HOLDOUT,
    Verdict.TOO_FEW,
    Verdict.NO_DIFFERENCE_SHOWN,
}
"""Verdicts that are given only where no further window will close."""


class Soundness(NamedTuple):
    """What may make a comparison worthless, whatever its numbers.

    Attributes:
        loss: Accounts that were enrolled and are not measured; None if an arm is empty.
        leak: Held-out accounts, and those of them that were written to all the same.
        unknown_for: How long ago it was last known who came back, if that matters.
    """

    loss: Loss | None = None
    leak: ArmCount = ArmCount()
    unknown_for: timedelta = timedelta()

    @property
    def leaks(self) -> bool:
        """Whether more than one held-out account in a hundred was written to."""
        return self.leak.returned > _LEAK_ALARM * self.leak.accounts


def doubt_of(
    soundness: Soundness, lift: Estimate | None, *, unheard_of: float = UNHEARD_OF
) -> Verdict | None:
    """Return why nothing may be claimed whatever the numbers are, or None.

    Args:
        soundness: What may make the comparison worthless.
        lift: Treated minus holdout.
        unheard_of: A lift that is larger for certain is held for a mistake.
    """
    has_lost = soundness.loss is not None and soundness.loss.is_alarming
    if has_lost or soundness.leaks:
        return Verdict.MISMATCH
    if soundness.unknown_for > STALE_AFTER:
        return Verdict.STALE_DATA
    if lift is not None and unheard_of < lift.low < lift.high:
        return Verdict.TOO_GOOD
    return None


def has_changed(lift: Estimate | None) -> bool:
    """Say whether no single lift fits all cohorts."""
    return lift is not None and lift.low >= lift.high


def verdict_of(lift: Estimate | None, *, accounts: int, is_over: bool) -> Verdict:
    """Return what may be claimed of a campaign, at any look.

    Args:
        lift: Treated minus holdout over all closed windows, with an interval that holds
            at all looks; None while an arm is empty.
        accounts: Of both arms.
        is_over: Whether no further window will close.
    """
    if lift is None:
        few = accounts < _MISSED_BY_CHANCE
        at_last = Verdict.TOO_FEW if few else Verdict.NO_HOLDOUT
        return at_last if is_over else Verdict.CANNOT_TELL_YET
    if has_changed(lift):
        return Verdict.LIFT_CHANGED
    if lift.low > 0:
        return Verdict.WORKS
    if lift.high < 0:
        return Verdict.HARMS
    if not is_over:
        return Verdict.CANNOT_TELL_YET
    is_wide = lift.high - lift.low > _WIDEST
    return Verdict.TOO_FEW if is_wide else Verdict.NO_DIFFERENCE_SHOWN
