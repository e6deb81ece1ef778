"""Blocks: clean or not, the same rows; what is damaged costs itself alone."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.sources.blocks import LONGEST_ROW_BYTES, Lookahead, RowError
from campaigns.sources.csv_blocks import csv_blocks, records
from campaigns.sources.json_blocks import json_blocks

COLUMNS = ["a", "b", "c"]
field = st.text(alphabet='ab ,"\n\r\té', max_size=5)


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


clean_field = st.one_of(
    st.text(alphabet="abc 1-", max_size=5), field.map(quoted), st.just("")
)
clean_line = st.tuples(clean_field, clean_field, clean_field).map(",".join)
any_line = st.one_of(clean_line, st.lists(field, max_size=4).map(",".join))
files = st.tuples(
    st.lists(any_line, max_size=30), st.sampled_from(["\n", "\r\n"]), st.booleans()
).map(lambda parts: parts[1].join(parts[0]) + parts[1] * parts[2])


def shown(row):
    if isinstance(row, RowError):
        return row.reason
    return {name: value or "" for name, value in row.items()}


def in_blocks(content, **sizes):
    text = Lookahead(io.BytesIO(content))
    found = list(csv_blocks(text, COLUMNS, ",", 0, **sizes))
    rows = [(n, shown(row)) for block in found for n, row in block.rows()]
    return rows, found


@settings(max_examples=400, deadline=None)
@given(content=files, largest=st.sampled_from([8, 24, 64, 1000]))
def test_clean_or_not_a_file_gives_the_same_rows(content, largest):
    text = content.encode()
    one_by_one = records(Lookahead(io.BytesIO(text)), COLUMNS, ",", 0, len(text))

    rows, _ = in_blocks(text, largest=largest, smallest=8)

    assert rows == [(n, shown(row)) for n, row in one_by_one]


def test_a_clean_file_is_read_as_columns_to_the_last_row():
    content = b'1,"x, ""y""",3\r\n' * 5000 + b"4,,6"

    rows, found = in_blocks(content)

    assert all(block.frame is not None for block in found)
    assert len(rows) == 5001
    assert rows[0] == (1, {"a": "1", "b": 'x, "y"', "c": "3"})


def test_what_is_not_clean_costs_the_rows_around_it_and_no_more():
    good = b"1,2,3\n" * 20_000
    content = good + b"1,2\n" + good + b"\xfc,2,3\n" + good

    rows, found = in_blocks(content, largest=1 << 17, smallest=1 << 10)

    assert [row for row in rows if isinstance(row[1], str)] == [
        (20_001, "has 2 fields where the header has 3"),
        (40_002, rows[40_001][1]),
    ]
    assert "not valid UTF-8" in rows[40_001][1]
    listed = sum(len(block.listed) for block in found)
    assert 0 < listed < 1000


def test_a_quote_that_never_closes_costs_its_own_line():
    content = b'1,"2,3\n' + b"4,5,6\n" * 3000

    rows, _ = in_blocks(content)

    assert rows[0] == (
        1,
        "is not valid CSV: a quote is opened here and does not close",
    )
    assert rows[1:] == [(n, {"a": "4", "b": "5", "c": "6"}) for n in range(2, 3002)]


def test_a_line_without_end_is_one_row():
    content = b"x" * (10 * LONGEST_ROW_BYTES) + b"\n4,5,6\n"

    rows, _ = in_blocks(content)

    assert [n for n, _ in rows] == [1, 2]
    assert "longer than" in rows[0][1] or "1 fields" in rows[0][1]
    assert rows[1][1] == {"a": "4", "b": "5", "c": "6"}


def test_a_block_goes_on_where_another_reader_stopped():
    content = b"".join(b"%d,2,3\n" % n for n in range(5000))
    rows, found = in_blocks(content, largest=4096, smallest=8)
    end = found[2].end
    text = Lookahead(io.BytesIO(content))
    text.skip(end.offset)

    later = [
        row for block in csv_blocks(text, COLUMNS, ",", end.row) for row in block.rows()
    ]

    assert later == rows[end.row :]


class Breaks(io.RawIOBase):
    """A stream that is cut off after some bytes."""

    def __init__(self, content):
        super().__init__()
        self._left = io.BytesIO(content)

    def read(self, size=-1):
        piece = self._left.read(min(size, 10))
        if not piece:
            raise EOFError("cut off")
        return piece


def test_whole_rows_before_a_damage_are_given_out_and_half_ones_are_not():
    text = Lookahead(Breaks(b"1,2,3\n4,5,6\n7,8,9"))
    found = []

    with pytest.raises(EOFError):
        found.extend(csv_blocks(text, COLUMNS, ",", 0))

    assert [row["a"] for block in csv_rows(found) for row in block] == ["1", "4"]


def csv_rows(blocks):
    return [[row for _, row in block.rows()] for block in blocks]


def test_json_lines_with_uneven_fields_are_columns_and_rows():
    content = b'{"a": 1, "b": "x"}\n\n{"a": 2}\n'
    (block,) = json_blocks(Lookahead(io.BytesIO(content)), 0)

    assert list(block.rows()) == [(1, {"a": 1, "b": "x"}), (2, {"a": 2})]
    assert block.frame is not None
    assert block.frame.to_dict(as_series=False) == {"a": [1, 2], "b": ["x", None]}


def test_json_lines_of_mixed_kinds_are_only_rows():
    content = b'{"a": 1}\n{"a": "x"}\nno\n'
    (block,) = json_blocks(Lookahead(io.BytesIO(content)), 0)

    assert block.frame is None
    assert [n for n, _ in block.rows()] == [1, 2, 3]
