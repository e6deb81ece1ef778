"""As columns or row by row, the same events."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.domain.records import EARLIEST
from campaigns.sources.blocks import Block, Place, RowError
from campaigns.sources.mapping import MappingFile
from campaigns.sources.rows import RowMapper
from campaigns.sources.usage_frames import (
    USAGE_COLUMNS,
    UsageFrames,
    canonical_properties,
)

ACCOUNTS = frozenset({"acc-1", "acc-2", "Ümläut", "7"})
LATEST = datetime(2026, 6, 1, tzinfo=UTC)
THROUGH = {"subscriptions": {"s1": "acc-1", "s2": "acc-9"}, "contacts": {}}

VALUES = {
    "account": ["acc-1", "acc-2", "acc-9", "Ümläut", " acc-1", "", None],
    "at": [
        "2025-05-01T10:00:00Z",
        "2025-05-01T10:00:00+00:00",
        "2025-05-01 10:00:00.123+02:00",
        "2025-05-01T10:00:00.123456Z",
        "2025-05-01T10:00Z",
        "2025-05-01T10:00:00",
        "2025-05-01 10:00:00",
        "2025-05-01",
        "2025-10-26T02:30:00",
        "2025-03-30T02:30:00",
        "2025-02-30T10:00:00Z",
        "2025-5-1T10:00:00Z",
        "2025-05-01T24:00:00Z",
        "2025-05-01T10:00:60Z",
        "2027-05-01T10:00:00Z",
        "1970-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        " 2025-05-01T10:00:00Z",
        "1746093600",
        "yesterday",
        "",
        None,
    ],
    "feature": ["f.x", "Übersicht", "a" * 501, "a\u200bb", "a\u00a0b", "", None],
    "contact": ["p1", " p1", "", None, "a" * 201],
    "count": ["1", "12", "0", "01", "1.0", "-1", "x", "1" + "0" * 12, "9" * 20],
    "outcome": ["ok", "failed", "FAILED", "", None],
    "properties": ['{"b": 1, "a": [2]}', "{}", "[1]", "{", "", None],
    "id": ["u1", "", None, "u\u202e1"],
}  # fmt: skip
rows = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(v) for name, v in VALUES.items()}),
    min_size=1,
    max_size=25,
)


def machines(mapping, columns=USAGE_COLUMNS):
    file = MappingFile.model_validate(mapping) if mapping else None
    mapper = RowMapper("usage", columns, file, file="f.csv", lookups=THROUGH)
    frames = UsageFrames(
        mapper,
        file,
        accounts=ACCOUNTS,
        lookups=THROUGH,
        not_before=EARLIEST,
        not_after=LATEST,
    )
    return mapper, frames


def one_by_one(mapper, numbered):
    """Return the events of the rows that are taken, by their number."""
    found = {}
    for number, row in numbered:
        try:
            event = mapper.record(row)
        except RowError:
            continue
        if event.account in ACCOUNTS and EARLIEST <= event.at <= LATEST:
            found[number] = (
                event.account,
                event.at,
                event.feature,
                event.contact,
                event.count,
                event.outcome.value,
                canonical_properties(event.properties),
                event.id,
            )
    return found


def as_columns(mapper, frames, block):
    events, others = frames.sort_out(block.frame)
    fast = {row[-1] + block.first: row[:-1] for row in events.iter_rows()}
    return fast, fast | one_by_one(mapper, block.rows_where(others))


MAPPINGS = [
    None,
    {"zone": "Europe/Berlin"},
    {"fields": {"feature": {"column": "feature", "default": "unknown"}}},
    {"fields": {"account": {"column": "id", "through": "subscriptions"}}},
    {"fields": {"feature": {"column": "outcome", "values": {"ok": "x", "failed": 3}}}},
    {"fields": {"at": {"column": "at", "unit": "s"}}},
    {"fields": {"account": {"constant": "acc-1"}, "id": {"template": "u-{contact}"}}},
]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_each_odd_value_by_itself_ends_alike_both_ways(mapping):
    good = {name: values[0] for name, values in VALUES.items()}
    data = [good | {name: odd} for name, odds in VALUES.items() for odd in odds]
    frame = pl.DataFrame(data, schema=dict.fromkeys(USAGE_COLUMNS, pl.String))
    block = Block(1, Place(), frame)
    mapper, frames = machines(mapping)

    _, both = as_columns(mapper, frames, block)

    assert both == one_by_one(mapper, block.rows())


@settings(max_examples=150, deadline=None)
@given(data=rows, mapping=st.sampled_from(MAPPINGS))
def test_as_columns_or_row_by_row_the_same_events(data, mapping):
    frame = pl.DataFrame(data, schema=dict.fromkeys(USAGE_COLUMNS, pl.String))
    block = Block(1, Place(), frame)
    mapper, frames = machines(mapping)

    _, both = as_columns(mapper, frames, block)

    assert both == one_by_one(mapper, block.rows())


@pytest.mark.parametrize(
    "at",
    [
        "2025-05-01T10:00:00Z",
        "2025-05-01T10:00:00+00:00",
        "2025-05-01 10:00:00.123+02:00",
    ],
)
def test_what_exports_usually_hold_is_taken_as_columns(at):
    row = dict.fromkeys(USAGE_COLUMNS)
    row |= {"account": "acc-1", "at": at, "feature": "Übersicht", "count": "2"}
    block = Block(1, Place(), pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)))
    mapper, frames = machines(None)

    fast, both = as_columns(mapper, frames, block)

    assert list(fast) == [1]
    assert fast == both == one_by_one(mapper, block.rows())


def test_typed_columns_are_taken_as_they_are():
    frame = pl.DataFrame(
        {
            "account": ["acc-1", "acc-2"],
            "at": pl.Series([datetime(2025, 5, 1, 10), datetime(2025, 5, 2, 10)])  # noqa: DTZ001
            .dt.replace_time_zone("Europe/Berlin"),
            "feature": ["a", "b"],
            "count": [1, 0],
        }
    )  # fmt: skip
    block = Block(1, Place(), frame)
    mapper, frames = machines(None, frame.columns)

    fast, both = as_columns(mapper, frames, block)

    assert list(fast) == [1]
    assert fast[1][1] == datetime(2025, 5, 1, 8, tzinfo=UTC)
    assert both == one_by_one(mapper, block.rows())


def test_numbers_are_names_in_files_with_types():
    at = pl.Series([datetime(2025, 5, 1, tzinfo=UTC)] * 3)
    frame = pl.DataFrame(
        {"account": [7, 7, 8], "at": at, "feature": [1, 2, 3], "id": [4, None, 6]}
    )
    block = Block(1, Place(), frame)
    mapper, frames = machines(None, frame.columns)

    fast, both = as_columns(mapper, frames, block)

    assert [(row[0], row[2], row[7]) for row in fast.values()] == [
        ("7", "1", "4"),
        ("7", "2", None),
    ]
    assert fast == both == one_by_one(mapper, block.rows())


def typed_and_listed(rows, mapping):
    """Return events of JSON objects, as columns and row by row."""
    import io

    import orjson

    from campaigns.sources.blocks import Lookahead
    from campaigns.sources.json_blocks import json_blocks

    content = b"\n".join(orjson.dumps(row) for row in rows)
    (block,) = json_blocks(Lookahead(io.BytesIO(content)), 0)
    file = MappingFile.model_validate(mapping) if mapping else None
    mapper = RowMapper(
        "usage", list(rows[0]), file, file="f", is_ragged=True, lookups=THROUGH
    )
    frames = UsageFrames(
        mapper, file, accounts=ACCOUNTS, lookups=THROUGH,
        not_before=EARLIEST, not_after=LATEST,
    )  # fmt: skip
    by_rows = one_by_one(mapper, block.rows())
    if block.frame is None:
        return by_rows, by_rows
    return as_columns(mapper, frames, block)[1], by_rows


OBJECT = {"account": "acc-1", "at": "2025-05-01T10:00:00Z", "feature": "f"}


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({}, {"outcome": {"column": "ok", "default": "failed"}}),
        ({}, {"count": {"column": "n", "default": 5}}),
        ({}, {"contact": {"column": "c", "default": "p9"}}),
        ({"ok": True}, {"outcome": {"column": "ok", "values": {"true": "ok"}}}),
        ({"id": True}, {"id": {"column": "id", "default": "x"}}),
        ({"count": 2}, {"count": {"column": "count", "unit": "major"}}),
        ({"at": 18_448_444_073_709}, {"at": {"column": "at", "unit": "s"}}),
        ({"at": 1_746_093_600}, {"at": {"column": "at", "unit": "s"}}),
        ({"count": True}, {}),
        ({"properties": {"a": [1]}}, {}),
        ({"properties": {"a": None}, "count": 1.0}, {}),
    ],
)
def test_typed_values_end_alike_both_ways(more, fields):
    rows = [OBJECT | more, OBJECT | more | {"feature": "g"}]

    as_columns_, by_rows = typed_and_listed(rows, {"fields": fields})

    assert as_columns_ == by_rows


@pytest.mark.parametrize("count", ["1\uff10", "3\u0662"])
def test_digits_of_other_scripts_are_no_count(count):
    row = dict.fromkeys(USAGE_COLUMNS) | OBJECT | {"count": count}
    block = Block(1, Place(), pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)))
    mapper, frames = machines(None)

    assert as_columns(mapper, frames, block)[1] == one_by_one(mapper, block.rows())
