"""When what recurs is due."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

_WEEKDAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A job's hour, every day or on one weekday (0 is Monday), in UTC."""

    hour: int
    weekday: int | None = None

    def latest(self, now: datetime) -> datetime:
        """Return the last moment at or before `now` that the job was due at."""
        today = datetime.combine(now.date(), time(self.hour), UTC)
        moment = today if today <= now else today - timedelta(days=1)
        if self.weekday is None:
            return moment
        return moment - timedelta(days=(moment.weekday() - self.weekday) % _WEEKDAYS)

    def next(self, now: datetime) -> datetime:
        """Return the first moment after `now` that the job is due at."""
        every = timedelta(days=1 if self.weekday is None else _WEEKDAYS)
        return self.latest(now) + every
