"""Imports: every row ends taken, unchanged or rejected; a kill changes nothing."""

import csv
import json
from datetime import date

import polars as pl
import pytest

from campaigns.errors import InputError
from campaigns.steps.ingest import ingest
from campaigns.store import facts, imports, records
from campaigns.store.usage import newest_event
from tests.factories import NOON, address_hash, at


@pytest.fixture
def take(import_rows):
    """Import text; returns the result, whose counts add up."""

    def take(*args, **options):
        result = import_rows(*args, **options)
        counts = result.counts
        assert counts.rows == counts.taken + counts.unchanged + counts.rejected
        return result

    return take


def three(result):
    return result.counts.taken, result.counts.unchanged, result.counts.rejected


def all_events(place):
    return place.lake.scan(before=at("2030-01-01")).collect()


SUBSCRIPTIONS = """\
id,account,plan,started_at,ended_at,end_kind
s1,acc-1,Team,2025-01-01T00:00Z,,
s2,acc-2,Team,2025-01-01T00:00Z,2025-06-01T00:00Z,voluntary
"""


def test_a_file_imported_twice_changes_nothing(take):
    assert three(take("subscriptions", SUBSCRIPTIONS)) == (2, 0, 0)
    assert three(take("subscriptions", SUBSCRIPTIONS)) == (0, 2, 0)


def test_a_later_file_updates_what_changed(take):
    take("subscriptions", SUBSCRIPTIONS)
    ended = SUBSCRIPTIONS.replace(
        "Team,2025-01-01T00:00Z,,", "Team,2025-01-01T00:00Z,2025-09-01T00:00Z,dunning"
    )

    assert three(take("subscriptions", ended)) == (1, 1, 0)


def test_an_id_that_stands_twice_in_a_file(take):
    again = "s1,acc-1,Team,2025-01-01T00:00Z,,\n"
    other = "s1,acc-1,Business,2025-01-01T00:00Z,,\n"
    result = take("subscriptions", SUBSCRIPTIONS + again + other)

    assert three(result) == (2, 1, 1)
    (rejection,) = result.first_rejections
    assert (rejection.row, rejection.column, rejection.value) == (4, "id", "s1")
    assert "other values" in rejection.reason


BAD = """\
account,at,feature,count
acc-1,2025-05-01T10:00Z,reports,1
acc-1,2025-05-01 10:00,reports,1
acc-9,2025-05-01T10:00Z,reports,1
acc-1,yesterday,reports,1
acc-1,2025-05-01T10:00Z,,1
acc-1,2025-05-01T10:00Z,reports,many
acc-1,2025-05-01T10:00Z,reports
acc-2,2025-05-01T10:00Z,=cmd(),0
acc-2,2025-05-02T10:00Z,reports,2
"""


def test_each_bad_row_is_listed_with_its_place_and_reason(take, place):
    result = take("usage", BAD)

    assert three(result) == (2, 0, 7)
    with result.rejects_file.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["column"]) for row in rows] == [
        ("2", "at"),
        ("3", "account"),
        ("4", "at"),
        ("5", "feature"),
        ("6", "count"),
        ("7", ""),
        ("8", "count"),
    ]
    assert [row["file"] for row in rows] == ["rows.csv"] * 7
    assert "without a zone" in rows[0]["reason"]
    assert "import accounts first" in rows[1]["reason"]
    assert result.rejects_file.stat().st_mode & 0o077 == 0
    assert all_events(place).height == 2


def test_genuine_repeats_are_kept_and_a_second_import_is_unchanged(take, place):
    row = "acc-1,2025-05-01T10:00Z,reports\n"
    text = "account,at,feature\n" + row * 3

    assert three(take("usage", text)) == (3, 0, 0)
    assert three(take("usage", text)) == (0, 3, 0)
    assert three(take("usage", text + row)) == (1, 3, 0)
    assert all_events(place).height == 4


def test_usage_with_ids_is_updated_even_to_another_day(take, place):
    head = "id,account,at,feature\n"
    take("usage", head + "u1,acc-1,2025-05-01T10:00Z,reports\n")
    assert three(take("usage", head + "u1,acc-1,2025-05-03T10:00Z,export\n")) == (
        1,
        0,
        0,
    )

    events = all_events(place)
    assert events.select("feature").to_series().to_list() == ["export"]
    assert events["at"].dt.date().to_list() == [date(2025, 5, 3)]


def test_usage_ids_that_clash_within_a_file(take):
    text = (
        "id,account,at,feature\n"
        "u1,acc-1,2025-05-01T10:00Z,reports\n"
        "u1,acc-1,2025-05-01T10:00Z,reports\n"
        "u1,acc-1,2025-05-02T10:00Z,reports\n"
    )
    result = take("usage", text)

    assert three(result) == (1, 1, 1)
    assert result.first_rejections[0].row == 3


def test_the_same_events_make_the_same_bytes_in_any_order(take, place, tmp_path):
    rows = [
        "acc-1,2025-05-01T10:00Z,reports\n",
        "acc-2,2025-05-01T09:00Z,export\n",
        "acc-1,2025-05-01T08:00Z,reports\n",
    ]
    head = "account,at,feature\n"
    take("usage", head + "".join(rows))
    path = place.lake.path_of(date(2025, 5, 1))
    once = path.read_bytes()
    path.unlink()
    for row in reversed(rows):
        take("usage", head + row)

    assert path.read_bytes() == once


def test_only_days_in_question_are_opened(take, place):
    head = "account,at,feature\n"
    for day in ("01", "02", "03"):
        take("usage", head + f"acc-1,2025-05-{day}T10:00Z,reports\n")
    place.lake.path_of(date(2025, 5, 1)).write_bytes(b"never opened")
    place.lake.path_of(date(2025, 5, 3)).write_bytes(b"never opened")

    events = place.lake.scan(since=at("2025-05-02"), before=at("2025-05-02T23:00"))

    assert events.collect().height == 1
    assert newest_event(place.lake, before=at("2025-05-02T23:00")) == at(
        "2025-05-02T10:00"
    )


def test_first_and_last_use_respect_their_moments(take, place):
    head = "account,at,feature\n"
    days = [f"acc-1,2025-05-{day}T10:00Z,reports\n" for day in ("01", "05", "09")]
    take("usage", head + "".join(days))

    lake = place.lake
    assert lake.last_used(before=at("2025-05-09T10:00")) == {
        "acc-1": at("2025-05-05T10:00")
    }
    since = {"acc-1": at("2025-05-02"), "acc-2": at("2025-05-02")}
    assert lake.first_used_after(since, before=at("2025-06-01")) == {
        "acc-1": at("2025-05-05T10:00")
    }


def test_all_kinds_of_files_give_the_same_records(take, place, tmp_path):
    rows = [
        {
            "id": "r1",
            "date": "2025-09-01",
            "title": "T",
            "text": "X",
            "tags": ["a", "b"],
        }
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert three(take("releases", lines, name="r.jsonl")) == (1, 0, 0)

    text = 'id,date,title,text,tags\nr1,2025-09-01,T,X,"a, b"\n'
    assert three(take("releases", text)) == (0, 1, 0)

    path = tmp_path / "r.parquet"
    pl.DataFrame(rows).with_columns(pl.col("date").str.to_date()).write_parquet(path)
    assert three(ingest("releases", path, place=place)) == (0, 1, 0)


def test_one_row_of_each_is_taken_where_the_mapping_says_distinct(take):
    mapping = 'distinct = true\n[fields]\nid = "who"\nname = "who"\n'
    result = take("accounts", "who,n\na,1\nb,2\na,3\n", mapping=mapping)

    assert three(result) == (2, 1, 0)
    assert result.unused_columns == ["n"]


def test_addresses_are_hashed_when_they_come_in(take, place):
    take("contacts", "id,account,email\nc1,acc-1,Ada@Example.com\n")

    with place.sessions.begin() as session:
        found = records.contacts_of(session, ["acc-1"], now=NOON)["acc-1"]
    assert address_hash("ada@example.com") in {each.address_hash for each in found}


def test_a_refused_file_leaves_nothing_behind(take, place):
    with pytest.raises(InputError, match="unknown column 'colour'"):
        take("accounts", "id,name,colour\na,A,red\n")

    with place.sessions.begin() as session:
        assert imports.unfinished(session) == []
        assert records.account_ids(session) == {"acc-1", "acc-2"}


def test_labels_are_read_latest_first(take, place):
    take(
        "labels",
        "account,segment,as_of,by\n"
        "acc-1,slow-fade,2025-01-01T00:00Z,ada\n"
        "acc-1,champion-left,2025-02-01T00:00Z,ada\n"
        "acc-2,slow-fade,2025-03-01T00:00Z,ada\n",
    )
    with place.sessions.begin() as session:
        assert records.labels_before(session, at("2025-02-15")) == [
            ("acc-1", "champion-left")
        ]


def test_an_event_moved_to_another_day_survives_a_kill_between_both(take, place):
    head = "id,account,at,feature\n"
    take("usage", head + "u1,acc-1,2025-05-10T10:00Z,reports\n")
    old = place.lake.path_of(date(2025, 5, 10))
    before = old.read_bytes()
    moved = head + "u1,acc-1,2025-05-03T10:00Z,reports\n"
    take("usage", moved)
    old.write_bytes(before)  # as a kill after the new day's file would have left it

    take("usage", moved)

    assert all_events(place)["at"].dt.date().to_list() == [date(2025, 5, 3)]


def test_json_lines_may_lack_fields_that_later_lines_have(take, place):
    lines = [
        {
            "id": "s1",
            "account": "acc-1",
            "plan": "T",
            "started_at": "2025-01-01T00:00Z",
        },
        {
            "id": "s2",
            "account": "acc-2",
            "plan": "T",
            "started_at": "2025-01-01T00:00Z",
            "ended_at": "2025-06-01T00:00Z",
            "end_kind": "voluntary",
        },
        {"id": "s3", "account": "acc-2", "colour": "red"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = take("subscriptions", text, name="s.jsonl")

    assert three(result) == (2, 0, 1)
    assert result.first_rejections[0].column == "colour"
    with place.sessions.begin() as session:
        table = facts.subscriptions(session, before=at("2030-01-01"))
    assert table["ended_at"].is_null().to_list() == [True, False]


def test_numbers_and_times_too_large_are_rejections_and_no_crash(take):
    head = "id,account,plan,started_at,ended_at,seats,mrr_minor,currency\n"
    begun = "2025-01-01T00:00Z"
    result = take(
        "subscriptions",
        head
        + f"s1,acc-1,T,{begun},9999-12-31T23:59:59-05:00,,,\n"
        + f"s2,acc-1,T,{begun},,99999999999999999999,,\n"
        + f"s3,acc-1,T,{begun},,5,3000000000,EUR\n",
    )

    assert three(result) == (1, 0, 2)
    assert [each.column for each in result.first_rejections] == ["ended_at", "seats"]
