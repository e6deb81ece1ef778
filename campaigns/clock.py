"""Where time comes from.

A `Clock` is anything that answers with the current aware UTC time. Everything below
`wiring` is handed one, so the engine runs as well in simulated time as in ours.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def system_clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)  # noqa: TID251


class SimulatedClock:
    """A clock that moves only when told to, and never backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        """Return the simulated time."""
        return self._now

    def jump_to(self, moment: datetime) -> None:
        """Move on to `moment`; a moment already past leaves the clock as it is."""
        self._now = max(self._now, moment.astimezone(UTC))
