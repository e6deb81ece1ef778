import gzip

import pytest

from campaigns.errors import InputError
from campaigns.sources.trials import RefusedRow, read_trial


@pytest.fixture
def write(tmp_path):
    def write(text, name="trial.csv"):
        path = tmp_path / name
        pack = gzip.compress if name.endswith(".gz") else bytes
        path.write_bytes(pack(text.encode()))
        return path

    return write


def _read(path, **options):
    return read_trial(path, treatment="arm", outcome="back", **options)


@pytest.mark.parametrize("name", ["trial.csv", "trial.csv.gz"])
def test_each_value_of_the_column_is_an_arm(write, name):
    found = _read(write("arm,back\nmail,1\nholdout,0\nmail,0\n", name))

    assert {arm: list(each) for arm, each in found.outcomes.items()} == {
        "holdout": [0],
        "mail": [1, 0],
    }
    assert (found.before, found.refused) == ({}, [])


def test_what_was_known_before_stands_beside_its_outcome(write):
    path = write("arm,back,use\na,1,7\nb,0,2\na,0,x\na,1,5\n")
    found = _read(path, before="use")

    assert list(found.outcomes["a"]) == [1, 1]
    assert list(found.before["a"]) == [7, 5]
    assert found.refused == [RefusedRow(3, "use", "is not a number", "a")]


def test_a_row_that_is_wrong_is_left_out_with_its_reason_and_never_its_value(write):
    path = write("arm,back\n,1\na,anna@example.com\na,inf\na,\nb,1\n")
    found = _read(path)

    assert found.refused == [
        RefusedRow(1, "arm", "is empty: it should name the arm"),
        RefusedRow(2, "back", "is not a number", "a"),
        RefusedRow(3, "back", "is not a finite number", "a"),
        RefusedRow(4, "back", "is not a number", "a"),
    ]
    assert list(found.outcomes) == ["b"]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("recency >= 7", [1, 3]),
        ("recency<7", [2]),
        ("recency != 7", [2, 3]),
        ("plan == pro", [1]),
        ("plan == ", None),
        ("recency 7", None),
    ],
)
def test_only_the_rows_that_are_meant_are_read(write, where, kept):
    path = write("arm,back,recency,plan\na,1,7,pro\na,2,6,free\na,3,12,\na,4,,\n")

    if kept is None:
        with pytest.raises(InputError, match="such as 'recency >= 7'"):
            _read(path, where=where)
    else:
        assert list(_read(path, where=where).outcomes["a"]) == kept


def test_a_column_that_is_not_there_is_an_error_that_lists_those_that_are(write):
    with pytest.raises(InputError, match="no column 'back'; it has: arm, came"):
        _read(write("arm,came\na,1\n"))


def test_a_file_of_which_no_row_can_be_taken_says_why(write):
    said = r"none of its 2 rows can be taken; row 1, back: is not a number"
    with pytest.raises(InputError, match=said):
        _read(write("arm,back\na,Web\nb,Phone\n"))


def test_how_often_accounts_were_written_to_is_read_beside_what_was_known(tmp_path):
    path = tmp_path / "trial.csv"
    path.write_text("arm,back,use,mails\na,1,7,2\nholdout,0,5,0\nholdout,0,6,x\n")
    found = read_trial(
        path, treatment="arm", outcome="back", before="use", mailed="mails"
    )

    assert (list(found.before["a"]), list(found.mailed["a"])) == ([7], [2])
    assert list(found.mailed["holdout"]) == [0]
    assert found.refused == [RefusedRow(3, "mails", "is not a number", "holdout")]
    assert found.lost == {"holdout": 1}


def test_truths_are_outcomes_and_0_is_an_arm(write):
    lines = '{"arm": 0, "back": true}\n{"arm": 0, "back": false}\n'
    found = _read(write(lines, "trial.jsonl"))

    assert list(found.outcomes["0"]) == [1, 0]
    assert list(_read(write("arm,back\na,True\na,FALSE\n")).outcomes["a"]) == [1, 0]
