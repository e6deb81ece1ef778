from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.domain.campaign import Schedule, Step
from campaigns.rules.timetable import due_times, in_utc, next_slot
from tests.conftest import rows_of, shared
from tests.factories import NOON, at

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Schedule(on=NOON, hours=(9, 17))


def local(moment, zone):
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %H:%M")


@pytest.mark.parametrize(
    ("after", "zone", "expected"),
    [
        ("2026-01-05T12:00", "Europe/Berlin", "Tue 09:00"),
        ("2026-01-06T10:15", "Europe/Berlin", "Tue 11:15"),
        ("2026-01-06T16:00", "Europe/Berlin", "Wed 09:00"),
        ("2026-01-08T16:00", "Europe/Berlin", "Tue 09:00"),
        ("2026-01-06T00:30", "Asia/Singapore", "Tue 09:00"),
        ("2026-01-06T00:30", "America/Los_Angeles", "Tue 09:00"),
    ],
)
def test_a_mail_goes_out_in_its_contacts_hours(after, zone, expected):
    slot = next_slot(at(after), zone=ZoneInfo(zone), schedule=OFFICE)

    assert local(slot, zone) == expected


moments = st.integers(0, 1000 * 24 * 60).map(lambda n: NOON + timedelta(minutes=n))
zones = st.sampled_from(["Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe", "UTC"])


@given(moments, zones)
def test_a_slot_is_never_earlier_and_is_its_own_slot(moment, zone):
    slot = next_slot(moment, zone=ZoneInfo(zone), schedule=OFFICE)

    assert slot >= moment
    assert next_slot(slot, zone=ZoneInfo(zone), schedule=OFFICE) == slot


def test_a_start_in_a_spring_gap_moves_forward():
    night = Schedule(on=NOON, hours=(2, 3), weekdays=("sun", "mon"))

    # On 29 March 2026 Berlin has no 02:30, and its 02:00 is 03:00: that span is empty.
    slot = next_slot(at("2026-03-28T12:00"), zone=BERLIN, schedule=night)

    assert slot == at("2026-03-30T00:00")


def test_a_start_in_an_autumn_overlap_is_the_first_of_both():
    night = Schedule(on=NOON, hours=(2, 3), weekdays=("sun",))

    slot = next_slot(at("2026-10-24T12:00"), zone=BERLIN, schedule=night)

    assert slot == at("2026-10-25T00:00")


def test_every_known_transition_is_read_by_the_rule():
    tried = 0
    for row in rows_of(shared("vectors", "dst_transitions_2026_2028.csv")):
        if not row["local_window_start"]:
            continue  # a zone's other change: no local time is lost or repeated
        begins, ends = (
            datetime.fromisoformat(row[f"local_window_{end}"])
            for end in ("start", "end")
        )
        changes_at = at(row["transition_utc"])
        for hour in range(24):
            wall = datetime.combine(begins.date(), time(hour))
            if not begins <= wall < ends:
                continue
            found = in_utc(wall.date(), hour, ZoneInfo(row["zone"]))
            if row["kind"] == "gap":
                assert found == changes_at, row
            else:
                assert found == changes_at - (ends - wall), row
            tried += 1
    assert tried > 50


def test_steps_follow_each_other_by_their_days():
    steps = [Step(template="a"), Step(template="b", days_after_previous=6)]

    first, second = due_times(NOON, zone=BERLIN, schedule=OFFICE, steps=steps)

    assert local(first, "Europe/Berlin") == "Tue 09:00"
    assert second - first == timedelta(days=7)  # a Monday is no mail day
