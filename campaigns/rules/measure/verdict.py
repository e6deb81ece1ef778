"""The one sentence a report may say, and when."""

from campaigns.domain.words import Verdict
from campaigns.rules.measure.rates import Estimate


def verdict_of(lift: Estimate | None, *, is_over: bool) -> Verdict:
    """Return what may be claimed of a campaign, at any look.

    Args:
        lift: Treated minus holdout over all closed windows, with an interval that holds
            at all looks; None while an arm is empty.
        is_over: Whether no further window will close.
    """
    if lift is None:
        return Verdict.NO_HOLDOUT if is_over else Verdict.CANNOT_TELL_YET
    if lift.low >= lift.high:
        return Verdict.LIFT_CHANGED
    if lift.low > 0:
        return Verdict.WORKS
    if lift.high < 0:
        return Verdict.HARMS
    return Verdict.NO_DIFFERENCE_SHOWN if is_over else Verdict.CANNOT_TELL_YET
