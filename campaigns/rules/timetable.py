"""When a mail may go out: local hours and weekdays, whatever the clocks do.

Rule for odd hours: a slot is a span of local wall-clock hours on a local day. A local
time that a spring gap swallows is the first instant after the gap; one that an autumn
overlap repeats is the first of the two.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from campaigns.domain.campaign import Schedule, Step, Weekday

_DAYS_TO_LOOK: Final = 15
_WEEKDAYS: Final = tuple(Weekday)


@lru_cache(maxsize=4096)  # asked for the same few days with each mail
def in_utc(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the start of the local `hour` (0-24) of `day`, in UTC."""
    if hour == 24:  # noqa: PLR2004 — the end of the day is the next day's start
        day, hour = day + timedelta(days=1), 0
    local = datetime.combine(day, time(hour), zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    # In a gap Python reads fold 1 with the offset after it: too early a moment.
    offset = second.astimezone(zone).utcoffset()
    while second.astimezone(zone).utcoffset() == offset:
        second += timedelta(minutes=1)
    return second


def next_slot(after: datetime, *, zone: ZoneInfo, schedule: Schedule) -> datetime:
    """Return the first moment at or after `after` that the schedule allows."""
    first_day = after.astimezone(zone).date()
    for offset in range(_DAYS_TO_LOOK):
        day = first_day + timedelta(days=offset)
        if _WEEKDAYS[day.weekday()] not in schedule.weekdays:
            continue
        opens = in_utc(day, schedule.hours[0], zone)
        closes = in_utc(day, schedule.hours[1], zone)
        slot = max(after, opens)
        if slot < closes:  # never so where a spring gap swallows the whole span
            return slot
    raise AssertionError("a schedule has at least one weekday and one hour")


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
