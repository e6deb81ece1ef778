"""Tie our totals to SES's, day by day, and list what does not add up."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from campaigns.domain.values import Mismatched
from campaigns.domain.words import SesTotal
from campaigns.store import totals
from campaigns.store.session import Sessions

_SETTLES_WITHIN: Final = timedelta(hours=6)
"""How long after a day's end its last events may come, and SES may still count."""

SesTotals = Callable[..., Mapping[tuple[date, SesTotal], int]]


class DayTotal(NamedTuple):
    """What was counted of one day.

    Attributes:
        day: Which, in UTC.
        total: Of what.
        by_ses: SES's count.
        by_us: The events that we have.
    """

    day: date
    total: SesTotal
    by_ses: int
    by_us: int

    @property
    def difference(self) -> int:
        """How many events of SES's we do not have; less than 0 where we have more."""
        return self.by_ses - self.by_us


class Reconciliation(NamedTuple):
    """How our books and SES's compare.

    Attributes:
        start: The first day.
        end: The day after the last.
        totals: Each day's counts that are not zero on both sides.
        mismatched: The messages that do not add up.
    """

    start: date
    end: date
    totals: list[DayTotal]
    mismatched: list[Mismatched]

    @property
    def agrees(self) -> bool:
        """Whether nothing is left to explain."""
        return not self.mismatched and not any(each.difference for each in self.totals)


def reconcile(
    sessions: Sessions, ses_totals: SesTotals, *, days: int, now: datetime
) -> Reconciliation:
    """Compare the last whole days (UTC) that ended six hours before `now` or earlier.

    Args:
        sessions: The database.
        ses_totals: Returns SES's counts of the days from `start` to before `end`.
        days: How many.
        now: The time.

    Raises:
        RetryLaterError: SES did not answer, or refused to.
    """
    end = (now - _SETTLES_WITHIN).date()
    start = end - timedelta(days=days)
    by_ses = ses_totals(start=start, end=end)
    with sessions.begin() as session:
        by_us = totals.by_day(session, start=start, end=end)
        mismatched = totals.mismatched(session, start=start, end=end)
    order = list(SesTotal)
    keys = sorted({*by_ses, *by_us}, key=lambda key: (key[0], order.index(key[1])))
    rows = [DayTotal(*key, by_ses.get(key, 0), by_us.get(key, 0)) for key in keys]
    return Reconciliation(
        start, end, [row for row in rows if row.by_ses or row.by_us], mismatched
    )
