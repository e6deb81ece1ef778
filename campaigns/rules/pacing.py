"""How fast mails may go: never more in any second than SES allows.

Kept as the moments of recent sends, not as tokens that fill up: a bucket lets twice the
rate through in its first second, and SES refuses what is above it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor


@dataclass(frozen=True, slots=True)
class Pace:
    """When how many mails went out, oldest first, as far back as it matters."""

    sent: tuple[tuple[datetime, int], ...] = ()


def _window(per_second: float) -> tuple[timedelta, int]:
    """Return a span, of a second or more, and how many whole mails it may hold."""
    seconds = max(1.0, 1 / per_second)
    return timedelta(seconds=seconds), max(1, floor(per_second * seconds))


def allowed(pace: Pace, *, now: datetime, per_second: float) -> int:
    """Return how many mails may go out now."""
    span, most = _window(per_second)
    recent = sum(count for at, count in pace.sent if at > now - span)
    return max(0, most - recent)


def after_sending(pace: Pace, count: int, *, now: datetime, per_second: float) -> Pace:
    """Return the pace once `count` mails went out at `now`."""
    span, _ = _window(per_second)
    recent = tuple(each for each in pace.sent if each[0] > now - span)
    return Pace((*recent, (now, count)))


def free_at(pace: Pace, *, per_second: float) -> datetime | None:
    """Return when the oldest recent mail no longer counts; None without one."""
    span, _ = _window(per_second)
    return pace.sent[0][0] + span if pace.sent else None
