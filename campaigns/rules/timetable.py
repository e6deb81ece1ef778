"""When a mail may go out: local hours and weekdays, whatever the clocks do.

Rule for odd hours: a slot is a span of local wall-clock hours on a local day. It is
turned into UTC at its start; a start inside a spring gap moves forward by the gap, one
inside an autumn overlap is the first of the two.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from campaigns.domain.campaign import Schedule, Step, Weekday

_DAYS_TO_LOOK: Final = 15
_WEEKDAYS: Final = tuple(Weekday)


def in_utc(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the start of the local `hour` (0-24) of `day`, in UTC."""
    if hour == 24:  # noqa: PLR2004 — the end of the day is the next day's start
        day, hour = day + timedelta(days=1), 0
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def next_slot(after: datetime, *, zone: ZoneInfo, schedule: Schedule) -> datetime:
    """Return the first moment at or after `after` that the schedule allows."""
    first_day = after.astimezone(zone).date()
    for offset in range(_DAYS_TO_LOOK):
        day = first_day + timedelta(days=offset)
        if _WEEKDAYS[day.weekday()] not in schedule.weekdays:
            continue
        opens = in_utc(day, schedule.hours[0], zone)
        closes = in_utc(day, schedule.hours[1], zone)
        if after < closes:
            return max(after, opens)
    raise AssertionError("a schedule has at least one weekday and one hour")


def is_open(now: datetime, *, zone: ZoneInfo, schedule: Schedule) -> bool:
    """Say whether a mail may go out at `now`."""
    return next_slot(now, zone=zone, schedule=schedule) == now


def due_times(
    enrolled_at: datetime, *, zone: ZoneInfo, schedule: Schedule, steps: Sequence[Step]
) -> tuple[datetime, ...]:
    """Return when each step of a sequence falls due, in UTC."""
    due: list[datetime] = []
    earliest = enrolled_at
    for step in steps:
        earliest += timedelta(days=step.days_after_previous)
        earliest = next_slot(earliest, zone=zone, schedule=schedule)
        due.append(earliest)
    return tuple(due)


def start_of_week(moment: datetime) -> date:
    """Return the Monday (UTC) of the week that holds `moment`."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())
