"""Files that mean harm, or were made in haste: each row accounted for, nothing lost."""

import json
from datetime import date
from io import BytesIO

import polars as pl
import pytest
from sqlalchemy import text

from campaigns.errors import InputError
from campaigns.sources.rejects import escape_formula
from campaigns.steps.ingest import ingest
from campaigns.store import records, suppressions
from campaigns.store.usage import UsageLake
from tests.conftest import shared
from tests.factories import NOON, address_hash, at

CONTACTS = """\
[fields]
id = "email"
account = { constant = "acc-1" }
"""
NAMED = CONTACTS + 'first_name = "name"\n'


CASES = {
    "UTF-8 BOM": (1, 0, 0),
    "semicolon": (1, 0, 0),
    "no trailing newline": (1, 0, 0),
    "only header": (0, 0, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_import_vectors_end_as_they_say(take, name):
    cases = {
        each[0]: each
        for each in json.loads(shared("vectors", "csv_import_cases.json").read_text())
    }
    _, content, expected = cases[name]
    counts = take("contacts", content, mapping=CONTACTS)

    assert counts == CASES[name]
    assert expected == f"{counts[0]} row{'s' * (counts[0] != 1)}"


def test_text_that_is_not_utf_8_is_refused_or_read_as_it_is_said_to_be(take, place):
    content = b"email,name\na@example.com,M\xfcller\n"
    _, _, rejected, reason = take("contacts", content, mapping=NAMED)
    assert rejected == 1
    assert "not valid UTF-8" in reason
    assert 'encoding = "cp1252"' in reason

    mapping = f'encoding = "cp1252"\n{NAMED}'
    assert take("contacts", content, mapping=mapping) == (1, 0, 0)
    with place.sessions.begin() as session:
        query = text("SELECT first_name FROM contacts WHERE email = 'a@example.com'")
        assert session.scalar(query) == "Müller"


def test_a_mark_says_more_than_the_mapping(take):
    content = "\ufeffemail,name\na@example.com,M\xfcller\n".encode()

    assert take("contacts", content, mapping=f'encoding = "cp1252"\n{NAMED}') == (
        1,
        0,
        0,
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_known_by_its_mark(take, encoding):
    content = "\ufeff" * (encoding != "utf-16") + "email\tname\na@example.com\tÄ\n"

    assert take("contacts", content.encode(encoding), mapping=CONTACTS) == (1, 0, 0)


def test_a_nul_is_a_rejected_row(take):
    content = "email,name\na@example.com,\0\nb@example.com,B\n"

    taken, _, rejected, _ = take("contacts", content, mapping=NAMED)

    assert (taken, rejected) == (1, 1)


USAGE_ROW = "acc-1,2025-05-01T10:00:00Z,reports\n"
USAGE = "account,at,feature\n"


def test_a_field_of_ten_megabytes_is_one_rejected_row(take):
    content = USAGE + f"acc-1,2025-05-01T10:00:00Z,{'x' * (10 << 20)}\n" + USAGE_ROW
    quoted = USAGE + f'acc-1,2025-05-01T10:00:00Z,"{"x" * (10 << 20)}"\n' + USAGE_ROW

    assert take("usage", content)[:3] == (1, 0, 1)
    assert take("usage", quoted)[:3] == (0, 1, 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("acc-1,2031-05-01T10:00:00Z,reports\n", "in the future"),
        ("acc-1,1970-01-01T00:00:00Z,reports\n", "before 1990"),
        ("acc-1,0001-01-01T00:00:00+14:00,reports\n", "too far away"),
        ("acc-1,2025-05-01T10:00:00Z,re\u202eports\n", "invisible character"),
        ("acc-1,2025-05-01T10:00:00Z,a\x07b\n", "control"),
        ("acc-1,2025-05-01T10:00:00Z\n", "2 fields where"),
        ("acc-1,2025-05-01T10:00:00Z,a,b\n", "4 fields where"),
        ('acc-1,2025-05-01T10:00:00Z,"a"b\n', "not valid CSV"),
    ],
)
def test_a_row_that_cannot_be_is_rejected_and_those_around_it_are_taken(
    take, row, reason
):
    other = USAGE_ROW.replace("reports", "other")

    *counts, said = take("usage", USAGE + USAGE_ROW + row + other)

    assert counts == [2, 0, 1]
    assert reason in said


def test_local_times_in_the_hours_that_clocks_repeat_and_skip(take, place):
    content = USAGE + (
        "acc-1,2025-10-26T02:30:00,repeated\nacc-1,2025-03-30T02:30:00,skipped\n"
    )

    *counts, said = take("usage", content, mapping='zone = "Europe/Berlin"')

    assert counts == [1, 0, 1]
    assert "clocks were put forward" in said
    (event,) = place.lake.scan_all().collect().iter_rows(named=True)
    assert event["at"] == at("2025-10-26T00:30")  # the first of the two


def test_two_zones_in_one_file(take, place):
    mapping = '[fields]\nat = { column = "at", zone_column = "zone" }'
    content = (
        "account,at,feature,zone\nacc-1,2025-05-01T10:00:00,berlin,Europe/Berlin\n"
        "acc-1,2025-05-01T10:00:00,tokyo,Asia/Tokyo\n"
        "acc-1,2025-05-01T10:00:00+01:00,said,Asia/Tokyo\n"
        "acc-1,2025-05-01T10:00:00,mars,Mars/Base\n"
    )

    *counts, said = take("usage", content, mapping=mapping)

    assert counts == [3, 0, 1]
    assert "not an IANA time zone" in said
    events = place.lake.scan_all().collect()
    hours = dict(zip(events["feature"], events["at"].dt.hour(), strict=True))
    assert hours == {"berlin": 8, "tokyo": 1, "said": 9}


def test_names_that_would_run_in_a_spreadsheet_are_kept_and_escaped_where_exported(
    take, place
):
    name = '=HYPERLINK("http://attacker.example")'
    rows = f'email,name\na@example.com,"{name.replace(chr(34), chr(34) * 2)}"\n'
    assert take("contacts", rows, mapping=NAMED) == (1, 0, 0)
    with place.sessions.begin() as session:
        query = text("SELECT first_name FROM contacts WHERE email = 'a@example.com'")
        assert session.scalar(query) == name


def test_every_formula_payload_is_escaped():
    cases = json.loads(shared("vectors", "csv_formula_payloads.json").read_text())
    # What does not begin with it does not run.
    harmless = {'a";=1+1', 'DDE ("cmd";"/C calc";"!A0")A0'}

    for payload in cases["payloads"]:
        escaped = escape_formula(payload)
        assert escaped == (payload if payload in harmless else f"'{payload}")


def test_a_subscription_that_ends_before_it_starts_is_rejected(take):
    rows = (
        "id,account,plan,started_at,ended_at\n"
        "s1,acc-1,Team,2025-05-01T00:00Z,2025-04-01T00:00Z\n"
        "s2,acc-1,Team,2025-01-01T00:00Z,2025-09-01T00:00Z\n"
        "s3,acc-1,Team,2025-05-01T00:00Z,\n"  # overlaps: doctor says so
    )

    *counts, said = take("subscriptions", rows)

    assert counts == [2, 0, 1]
    assert "before started_at" in said


def test_tickets_nps_and_suppressions_are_taken_once(take, place):
    tickets = (
        "id,account,opened_at,closed_at,topic\nt1,acc-1,2025-05-01T00:00Z,,api\n"
        "t2,acc-1,2025-05-02T00:00Z,2025-05-01T00:00Z,api\n"
    )
    answers = (
        '{"account": "acc-1", "at": "2025-05-01T00:00Z", "score": 9}\n'
        '{"account": "acc-1", "at": "2025-05-01T00:00Z", "score": 9}\n'
        '{"account": "acc-1", "at": "2025-05-01T00:00Z", "score": 9, "contact": "p"}\n'
        '{"account": "acc-1", "at": "2025-05-02T00:00Z", "score": 11}\n'
    )
    stop = (
        "email,hash,reason,at\nP1@acc-1.example.com,,unsubscribed,2025-05-01T00:00Z\n"
        f",{address_hash('x@example.com')},complaint,2025-05-01T00:00Z\n"
        "a@b.example,00,manual,2025-05-01T00:00Z\nno,,manual,2025-05-01T00:00Z\n"
    )

    assert take("tickets", tickets)[:3] == (1, 0, 1)
    assert take("nps", answers, name="nps.jsonl")[:3] == (2, 1, 1)
    assert take("nps", answers, name="nps.jsonl")[:3] == (0, 3, 1)
    assert take("suppressions", stop)[:3] == (2, 0, 2)
    assert take("suppressions", stop)[:3] == (0, 2, 2)
    with place.sessions.begin() as session:
        assert suppressions.counts(session) == {"complaint": 1, "unsubscribed": 1}
        (contact,) = records.contacts_of(session, ["acc-1"], now=NOON)["acc-1"]
        assert contact.is_suppressed


def test_usage_is_found_through_its_subscription(take, place):
    take(
        "subscriptions",
        "id,account,plan,started_at\ns1,acc-2,Team,2025-01-01T00:00Z\n",
    )
    mapping = '[fields]\naccount = { column = "sub", through = "subscriptions" }'
    rows = "sub,at,feature\ns1,2025-05-01T10:00:00Z,f\ns9,2025-05-01T10:00:00Z,f\n"

    *counts, said = take("usage", rows, mapping=mapping)

    assert counts == [1, 0, 1]
    assert "none of the subscriptions" in said
    assert place.lake.scan_all().collect()["account"].to_list() == ["acc-2"]


def test_an_id_that_moved_to_another_day_is_there_once(take, place):
    columns = "id,account,at,feature\n"
    take(
        "usage",
        columns + "u1,acc-1,2025-05-01T10:00:00Z,f\nu2,acc-1,2025-05-01T10:00:00Z,f\n",
    )

    counts = take("usage", columns + "u1,acc-1,2025-05-09T10:00:00Z,f\n")

    assert counts == (1, 0, 0)
    events = place.lake.scan_all().collect().sort("id")
    assert events["at"].dt.date().to_list() == [date(2025, 5, 9), date(2025, 5, 1)]
    take("usage", columns + "u2,acc-1,2025-05-09T10:00:00Z,f\n")
    assert place.lake.days() == [date(2025, 5, 9)]


def test_a_name_that_looks_like_a_pattern_is_a_name(take, place, tmp_path):
    frame = pl.DataFrame(
        {
            "account": ["acc-1"] * 2,
            "at": ["2025-05-01T10:00:00Z"] * 2,
            "feature": ["f", "g"],
        }
    )
    frame.write_parquet(tmp_path / "usage1.parquet")
    frame.head(1).write_parquet(tmp_path / "one.parquet")
    content = (tmp_path / "one.parquet").read_bytes()

    assert take("usage", content, name="usage[1].parquet") == (1, 0, 0)
    in_folder = UsageLake(tmp_path / "data[1]" / "usage")
    other = place._replace(lake=in_folder)
    ingest("usage", tmp_path / "usage1.parquet", place=other)
    ingest("usage", tmp_path / "one.parquet", place=other)
    assert in_folder.scan_all().collect().height == 2


def test_a_byte_that_its_encoding_does_not_know_costs_one_row(take):
    rows = [f"acc-1,2025-05-01T10:00:00Z,f{n}\n".encode() for n in range(3000)]
    rows[2000] = b"acc-1,2025-05-01T10:00:00Z,\x81\n"

    *counts, said = take(
        "usage", USAGE.encode() + b"".join(rows), mapping='encoding = "cp1252"'
    )

    assert counts == [2999, 0, 1]
    assert "not valid UTF-8" in said


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        (
            "usage",
            "deep.csv",
            USAGE.strip() + ",properties\n" + USAGE_ROW.strip() + ",ok\n"
            "acc-1,2025-05-01T10:00:00Z,f,"
            + '"'
            + '{""a"":' * 1500
            + "1"
            + "}" * 1500
            + '"\n',
        ),
        (
            "usage",
            "deep.jsonl",
            '{"account": "acc-1", "at": "2025-05-01T10:00:00Z", "feature": "f", '
            '"properties": ' + '{"a":' * 900 + "1" + "}" * 900 + "}\n",
        ),
    ],
)
def test_a_value_nested_without_end_breaks_nothing(take, kind, name, content):
    taken, _, rejected, *_ = take(kind, content, name=name)

    assert taken + rejected == content.count("\n") - name.endswith("csv")
    assert rejected >= name.endswith("csv")


def test_an_amount_without_end_is_a_rejected_row(take):
    rows = (
        "id,account,plan,started_at,mrr_minor,currency\n"
        "s1,acc-1,Team,2025-05-01T00:00Z,1e5000,EUR\n"
        "s2,acc-1,Team,2025-05-01T00:00Z,12,EUR\n"
    )
    mapping = '[fields]\nmrr_minor = { column = "mrr_minor", unit = "major" }'

    assert take("subscriptions", rows, mapping=mapping)[:3] == (1, 0, 1)


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_time_that_no_calendar_has_costs_its_row_only(take, unit):
    good = 1_746_093_600 * {"ms": 1_000, "us": 1_000_000}[unit]
    frame = pl.DataFrame(
        {
            "account": ["acc-1"] * 4,
            "feature": ["a", "b", "c", "d"],
            "at": [2**62, good, -(2**62), None],
        }
    )
    held = BytesIO()
    frame.with_columns(pl.col("at").cast(pl.Datetime(unit, "UTC"))).write_parquet(held)

    assert take("usage", held.getvalue(), name="odd.parquet")[:3] == (1, 0, 3)


@pytest.mark.parametrize(
    ("name", "values", "dtype"),
    [
        ("inside", [{"t": 10**18}, {"t": 0}], pl.Struct({"t": pl.Datetime("us")})),
        ("span", [2**62, 1], pl.Duration("ms")),
    ],
)
def test_an_odd_value_in_a_column_of_another_kind_costs_no_other_row(
    take, name, values, dtype
):
    good = {"account": ["acc-1"] * 2, "feature": ["a", "b"], "at": [1_746_093_600] * 2}
    frame = pl.DataFrame(
        {**good, name: values}, schema_overrides={name: dtype}
    ).with_columns(pl.from_epoch("at").dt.replace_time_zone("UTC"))
    held = BytesIO()
    frame.write_parquet(held)
    mapping = '[fields]\nfeature = "feature"'

    assert take("usage", held.getvalue(), name="a.parquet", mapping=mapping)[0] == 2
    template = '[fields]\nfeature = { template = "{feature}" }'
    assert take("usage", held.getvalue(), name="a.parquet", mapping=template)[:3] == (
        0,
        1,
        1,
    )


def test_a_row_of_too_many_lines_is_none_whatever_stands_beside_it(take):
    tall = 'acc-1,2025-05-01T10:00:00Z,"{' + " \n" * 1_200 + '}"\n'

    alone = take("usage", USAGE + tall + USAGE_ROW)
    beside = take("usage", USAGE + tall + USAGE_ROW + "acc-1\n")

    assert alone[0] == 1
    assert (alone[2] + 1, alone[3]) == (beside[2], beside[3])


def test_columns_of_any_name_may_stand_in_a_template(take):
    rows = "account,at,my.feature,0\nacc-1,2025-05-01T10:00:00Z,a,b\n"
    mapping = '[fields]\nfeature = { template = "{my.feature}-{0}" }'

    assert take("usage", rows, mapping=mapping)[:3] == (1, 0, 0)


@pytest.mark.parametrize("spoilt", ["", "acc-1,2025-05-01T10:00:00Z\n"])
def test_a_row_is_too_long_whatever_stands_beside_it(take, spoilt):
    long = "x" * (2 << 20)
    rows = f'acc-1,2025-05-01T10:00:00Z,"{long}"\n' + USAGE_ROW + spoilt

    taken, _, rejected, reason = take("usage", USAGE + rows)

    assert (taken, rejected) == (1, 1 + bool(spoilt))
    assert "longer than 1,048,576 bytes" in reason


@pytest.mark.parametrize("zone", ["Factory", "localtime", "Europe/Nowhere"])
def test_a_zone_that_is_no_place_is_refused(take, zone):
    rows = "account,at,feature,zone\nacc-1,2025-05-01T10:00:00,f,{}\n"
    whole = f'zone = "{zone}"'
    each = '[fields]\nat = { column = "at", zone_column = "zone" }'

    with pytest.raises(InputError, match="not an IANA time zone"):
        take("usage", rows.format("x"), mapping=whole)
    *counts, reason = take("usage", rows.format(zone), mapping=each)
    assert counts == [0, 0, 1]
    assert "not an IANA time zone" in reason


@pytest.mark.parametrize("template", ["{a", "{}", "{a!r}", "{a:>9}", "a}"])
def test_a_template_that_cannot_be_filled_is_refused(take, template):
    mapping = f'[fields]\nfeature = {{ template = "{template}" }}'

    with pytest.raises(InputError, match=r"map\.toml: fields\.feature"):
        take("usage", USAGE + USAGE_ROW, mapping=mapping)
