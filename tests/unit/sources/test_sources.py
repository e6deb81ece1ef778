import gzip
from datetime import UTC, datetime

import polars as pl
import pytest

from campaigns.errors import CampaignFileError, InputError
from campaigns.sources.blocks import START, RowError
from campaigns.sources.campaign_files import read_campaign
from campaigns.sources.files import open_data_file
from campaigns.sources.mapping import MappingFile, read_mapping
from campaigns.sources.rejects import escape_formula
from campaigns.sources.rows import RowMapper


def mapper(kind, columns, **mapping):
    file = MappingFile.model_validate(mapping) if mapping else None
    return RowMapper(kind, columns, file, file="f.csv")


USAGE = {"account": "a", "at": "2026-01-01", "feature": "f"}


def test_a_naive_time_needs_a_zone():
    with pytest.raises(RowError, match="without a zone") as caught:
        mapper("usage", USAGE).record(USAGE)

    assert (caught.value.column, caught.value.value) == ("at", "2026-01-01")


@pytest.mark.parametrize(
    ("given", "source", "utc"),
    [
        ("2026-07-01", {"column": "at", "zone": "Europe/Berlin"}, "2026-06-30T22:00"),
        ("1767225600", {"column": "at", "unit": "s"}, "2026-01-01T00:00"),
        ("1767225600500", {"column": "at", "unit": "ms"}, "2026-01-01T00:00:00.500"),
        ("2026-01-01T00:00+02:00", {"column": "at"}, "2025-12-31T22:00"),
        (datetime(2026, 1, 1), {"column": "at", "zone": "UTC"}, "2026-01-01T00:00"),  # noqa: DTZ001
    ],
)
def test_times_are_read_by_zone_and_unit(given, source, utc):
    record = mapper("usage", USAGE, fields={"at": source}).record(USAGE | {"at": given})

    assert record.at == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_fields_come_from_other_columns_constants_and_templates():
    made = mapper(
        "contacts",
        ["account", "who"],
        fields={
            "id": "who",
            "email": {"template": "{who}@contributors.example"},
            "role": {"constant": "contributor"},
        },
    )

    record = made.record({"account": "a", "who": "ada"})

    assert (record.email, record.role) == ("ada@contributors.example", "contributor")


def test_a_template_of_an_empty_column_is_refused():
    made = mapper(
        "contacts",
        ["account", "who"],
        fields={"id": "account", "email": {"template": "{who}@x.example"}},
    )

    with pytest.raises(RowError, match="'who', which is empty"):
        made.record({"account": "a", "who": ""})


def test_money_is_kept_in_minor_units():
    columns = ["id", "account", "plan", "started_at", "mrr", "currency"]
    made = mapper(
        "subscriptions",
        columns,
        zone="UTC",
        fields={"mrr_minor": {"column": "mrr", "unit": "major"}},
    )
    row = dict(
        zip(columns, ["s", "a", "Team", "2026-01-01", "12.50", "EUR"], strict=True)
    )

    assert made.record(row).mrr_minor == 1250
    with pytest.raises(RowError, match="two decimals"):
        made.record(row | {"mrr": "12.505"})


def test_an_empty_value_takes_the_default():
    made = mapper(
        "usage",
        USAGE,
        zone="UTC",
        fields={"feature": {"column": "feature", "default": "unknown"}},
    )

    assert made.record(USAGE | {"feature": None}).feature == "unknown"


@pytest.mark.parametrize(
    ("columns", "mapping", "message"),
    [
        (["id", "nme"], {}, "accounts need name"),
        (["id", "name", "contry"], {}, "did you mean 'country'"),
        (["id", "name"], {"fields": {"country": "land"}}, "'land'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_its_first_row(
    columns, mapping, message
):
    with pytest.raises(InputError, match=message):
        mapper("accounts", columns, **mapping)


def test_a_mapping_of_an_unknown_field_is_refused(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text('[fields]\nemial = "mail"\n')

    with pytest.raises(InputError, match="did you mean 'email'"):
        read_mapping(path, kind="contacts")


def rows_in(path, content):
    path.write_bytes(content)
    with open_data_file(path) as data:
        return data.columns, [
            row if isinstance(row, dict) else str(row)
            for block in data.blocks(START)
            for _, row in block.rows()
        ]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", b"id,name\n1,A\n", [{"id": "1", "name": "A"}]),
        ("a.csv", b"\xef\xbb\xbfid,name\n1,A\n", [{"id": "1", "name": "A"}]),
        ("a.csv", b"id;name\n1;A", [{"id": "1", "name": "A"}]),
        ("a.csv", b'id,name\n1,"A\nB"\n', [{"id": "1", "name": "A\nB"}]),
        ("a.csv", b"id,name\n\n1,A\n", [{"id": "1", "name": "A"}]),
        ("a.csv", b"id,name\n", []),
        (
            "a.csv.gz",
            gzip.compress(b"id,name\n1,A\n", mtime=0),
            [{"id": "1", "name": "A"}],
        ),
        ("a.jsonl", b'{"id": 1}\n\n{"id": 2}\n', [{"id": 1}, {"id": 2}]),
    ],
)
def test_files_are_read_row_by_row(tmp_path, name, content, rows):
    assert rows_in(tmp_path / name, content)[1] == rows


def test_parquet_is_read_row_by_row(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": ["1", "2"]}).write_parquet(path)

    with open_data_file(path) as data:
        assert [row for block in data.blocks(START) for row in block.rows()] == [
            (1, {"id": "1"}),
            (2, {"id": "2"}),
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id,name\n1\n2,B\n", "has 1 fields where the header has 2"),
        ("a.csv", b"id,name\n1,M\xfcller\n2,B\n", "not valid UTF-8"),
        ("a.jsonl", b'{"id": 0}\nnot json\n{"id": 2}\n', "not valid JSON"),
        ("a.jsonl", b'{"id": 0}\n[1]\n{"id": 2}\n', "not a JSON object"),
    ],
)
def test_a_bad_row_does_not_stop_the_good_ones(tmp_path, name, content, message):
    rows = rows_in(tmp_path / name, content)[1]

    assert sum(message in row for row in rows if isinstance(row, str)) == 1
    assert isinstance(rows[-1], dict)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n1,A\n", "no column names"),
        ("a.csv", b"id,id\n1,2\n", "twice"),
        ("a.xlsx", b"x", "known endings"),
        ("a.parquet", b"not parquet", "not a readable Parquet"),
        (
            "a.csv.gz",
            gzip.compress(b"id,name\n" + b"1,A\n" * 9999, mtime=0)[:60],
            "cut off",
        ),
        ("a.csv.gz", b"not gzip", "damaged"),
        ("a.jsonl", b"no\n", "no line of it"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        rows_in(tmp_path / name, content)


def test_a_missing_file_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere\.csv: there is no such file"),
        open_data_file(tmp_path / "nowhere.csv"),
    ):
        pass


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_shown_and_not_run(text):
    assert escape_formula(text) == f"'{text}"


CAMPAIGN = """\
name = "spring"

[[steps]]
template = "{segment}"

[[steps]]
template = "nowhere"
days_after_previous = 6

[schedule]
on = 2026-01-05
"""
TEMPLATES = ["slow-fade", "general"]


def read(tmp_path, text, templates=TEMPLATES):
    path = tmp_path / "spring.toml"
    path.write_text(text)
    return read_campaign(path, segments=["slow-fade"], templates=templates)


def test_an_unknown_template_is_told_with_line_and_allowed_values(tmp_path):
    with pytest.raises(
        CampaignFileError, match="line 7.*'nowhere'.*general, slow-fade"
    ):
        read(tmp_path, CAMPAIGN)


def test_one_unknown_template_among_several_is_told_in_the_same_way(tmp_path):
    several = CAMPAIGN.replace(
        'template = "nowhere"', 'templates = ["general", "nowhere"]'
    )
    with pytest.raises(
        CampaignFileError, match="line 7.*'nowhere'.*general, slow-fade"
    ):
        read(tmp_path, several)
    both = read(tmp_path, several, templates=[*TEMPLATES, "nowhere"])
    assert both.steps[1].texts == ("general", "nowhere")


def test_a_template_has_a_name_that_a_tag_of_ses_holds(tmp_path):
    text = CAMPAIGN.replace('"nowhere"', '"20 % off"')

    with pytest.raises(CampaignFileError, match=r"line 7: steps\.1\.template: .*A-Z"):
        read(tmp_path, text, templates=[*TEMPLATES, "20 % off"])


def test_an_unknown_segment_is_told_with_line_and_allowed_values(tmp_path):
    text = CAMPAIGN + '\n[audience]\nsegments = ["slow-fad"]\n'

    with pytest.raises(
        CampaignFileError, match="line 14.*'slow-fad'.*slow-fade, general"
    ):
        read(tmp_path, text, templates=[*TEMPLATES, "nowhere"])


def test_a_wrong_value_is_told_with_its_line(tmp_path):
    text = CAMPAIGN.replace("days_after_previous = 6", "days_after_previous = -6")

    with pytest.raises(
        CampaignFileError, match=r"line 8: steps\.1\.days_after_previous"
    ):
        read(tmp_path, text)


def test_broken_toml_is_told_with_its_place(tmp_path):
    with pytest.raises(CampaignFileError, match="not valid TOML"):
        read(tmp_path, "name = ")


def test_a_good_file_is_read(tmp_path):
    campaign = read(tmp_path, CAMPAIGN, templates=[*TEMPLATES, "nowhere"])

    assert [step.template for step in campaign.steps] == ["{segment}", "nowhere"]
