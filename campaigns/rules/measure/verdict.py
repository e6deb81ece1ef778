"""The one sentence a report may say, and when.

The plain interval is right for one look only. So there is one: when the window of the
campaign's last planned cohort has closed. Until then every report, however convincing
its numbers look, says that it cannot tell yet.
"""

from datetime import datetime

from campaigns.domain.words import Verdict
from campaigns.rules.measure.rates import Estimate


def verdict_of(
    lift: Estimate | None,
    *,
    last_window_ends_at: datetime | None,
    known_until: datetime,
) -> Verdict:
    """Return what may be claimed of a campaign.

    Args:
        lift: Treated minus holdout over all cohorts; None if an arm is empty.
        last_window_ends_at: When the window of the last planned cohort closes; None
            while a planned cohort has not been enrolled.
        known_until: The moment up to which returns are known.
    """
    if last_window_ends_at is None or known_until < last_window_ends_at:
        return Verdict.CANNOT_TELL_YET
    if lift is None:
        return Verdict.NO_HOLDOUT
    if lift.low > 0:
        return Verdict.WORKS
    if lift.high < 0:
        return Verdict.HARMS
    return Verdict.NO_DIFFERENCE_SHOWN
