"""When a run that failed is tried again: soon at first, then ever more rarely.

Most causes pass by themselves (a busy disk, a network that is away) or are mended by a
person within a day; a run is never given up before its next due time takes its place.
"""

from datetime import datetime, timedelta
from typing import Final

_DELAYS: Final = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
_LATER: Final = timedelta(hours=6)


def retry_at(attempts: int, *, failed_at: datetime) -> datetime:
    """Return when a run that failed for the n-th time is tried again.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    >>> [f"{retry_at(n, failed_at=noon):%H:%M}" for n in (1, 2, 3, 4, 9)]
    ['12:05', '12:30', '14:00', '18:00', '18:00']
    """
    delay = _DELAYS[attempts - 1] if attempts <= len(_DELAYS) else _LATER
    return failed_at + delay
