"""Imports that cannot go on: what was good is kept, and what to do is said."""

import gzip
import os

import polars as pl
import pytest
from sqlalchemy import text

from campaigns.errors import InputError

USAGE_ROW = "acc-1,2025-05-01T10:00:00Z,reports\n"
USAGE = "account,at,feature\n"


def test_a_bomb_is_refused_by_its_size(take, place):
    bomb = gzip.compress(USAGE.encode() + b"\0" * (200 << 20))

    with pytest.raises(InputError, match="300 times its size"):
        take("usage", bomb, name="bomb.csv.gz")
    assert place.lake.days() == []


def test_rows_before_a_cut_are_kept_and_the_rest_comes_with_the_whole_file(take, place):
    days = [
        f"acc-1,2025-05-{1 + n % 28:02}T10:{n % 60:02}:00Z,f{n}\n"
        for n in range(20_000)
    ]
    whole = gzip.compress((USAGE + "".join(days)).encode())

    with pytest.raises(InputError, match="cut off.*rows before"):
        take("usage", whole[: len(whole) // 2], name="cut.csv.gz")
    kept = place.lake.scan_all().collect().height
    assert 5_000 < kept < 15_000
    with place.sessions.begin() as session:
        query = text("SELECT taken, finished_at, error FROM import_runs")
        ((taken, finished_at, error),) = session.execute(query).all()
    assert (taken, finished_at) == (kept, None)
    assert "cut off" in error

    assert take("usage", whole, name="cut.csv.gz") == (20_000 - kept, kept, 0)
    assert place.lake.scan_all().collect()["feature"].n_unique() == 20_000


def test_a_cut_parquet_file_is_refused(take, tmp_path):
    path = tmp_path / "whole.parquet"
    pl.DataFrame(
        {
            "account": ["acc-1"] * 999,
            "at": ["2025-05-01T10:00:00Z"] * 999,
            "feature": ["f"] * 999,
        }
    ).write_parquet(path)

    with pytest.raises(InputError, match="not a readable Parquet"):
        take("usage", path.read_bytes()[:-20], name="cut.parquet")


def test_a_full_disk_is_said_and_the_import_goes_on_where_it_was(take, place, tmp_path):
    """The lake cannot be written: a file stands where its year's folder should be."""
    place.lake.root.mkdir()
    (place.lake.root / "2025").write_text("in the way")

    with pytest.raises(InputError, match="make room and import it again"):
        take("usage", USAGE + USAGE_ROW)
    assert list((place.lake.root / ".staging").rglob("*.parquet"))

    (place.lake.root / "2025").unlink()
    assert take("usage", USAGE + USAGE_ROW) == (1, 0, 0)
    assert not list((place.lake.root / ".staging").rglob("*.parquet"))


def test_whole_rows_before_a_cut_within_a_quote_are_kept(take, place):
    rows = "".join(f"acc-1,2025-05-01T10:00:00Z,f{n}\n" for n in range(500))
    packed = gzip.compress((USAGE + rows + 'acc-1,2025-05-01T10:00:00Z,"a\nb').encode())

    with pytest.raises(InputError, match="cut off"):
        take("usage", packed[:-6], name="cut.csv.gz")
    assert place.lake.scan_all().collect().height == 500


def test_an_import_that_breaks_is_recorded_with_its_cause(take, place):
    def break_off(_advance):
        raise RuntimeError("an error that nobody foresaw")

    with pytest.raises(InputError, match="could not be read to its end"):
        take("usage", USAGE + USAGE_ROW, progress=break_off)
    with place.sessions.begin() as session:
        query = text("SELECT error FROM import_runs")
        assert "could not be read" in session.scalar(query)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_full_database_is_said_and_the_file_can_be_imported_again(take, place):
    """Of SQLite only: PostgreSQL cannot be filled up without filling the disk."""
    with place.sessions.begin() as session:
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count = {pages + 4}"))
    rows = "".join(f"b{n},Account number {n}\n" for n in range(2_000))

    with pytest.raises(InputError, match=r"could not be kept \(.*full\); make room"):
        take("accounts", "id,name\n" + rows)

    with place.sessions.begin() as session:
        session.execute(text("PRAGMA max_page_count = 1000000"))
    assert take("accounts", "id,name\n" + rows) == (2_000, 0, 0)


def test_what_a_broken_off_import_left_is_forgotten_after_a_month(take, place, clock):
    def break_off(_advance):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take("usage", USAGE + USAGE_ROW, name="left.csv", progress=break_off)
    staging = place.lake.root / ".staging"
    (left,) = staging.glob("*/*/journal.jsonl")
    for each in (*left.parent.iterdir(), left.parent):
        os.utime(each, (clock().timestamp(), clock().timestamp()))

    clock.advance(days=29)
    take("usage", USAGE + USAGE_ROW.replace("10:", "12:"))
    assert left.exists()
    clock.advance(days=2)
    take("usage", USAGE + USAGE_ROW.replace("10:", "11:"))
    assert not left.parent.parent.exists()
