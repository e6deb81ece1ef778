"""Staged usage and the lake: kills, other imports in between, and broken remains."""

from datetime import date

import polars as pl
import pytest

from campaigns.store.merging import find_repeats, merge
from campaigns.store.staging import STAGED, Staging
from campaigns.store.usage import UsageLake
from tests.factories import at


@pytest.fixture
def lake(tmp_path):
    made = UsageLake(tmp_path / "usage")
    made.root.mkdir()
    return made


@pytest.fixture
def stage(lake):
    """Stage events, given as id and day of May; returns the staging."""

    def stage(name, *events, blocks=1):
        staging = Staging(lake.root / ".staging" / "file" / name)
        rows = [
            ("acc-1", at(f"2025-05-{day:02}"), "f", None, 1, "ok", "{}", id_, number)
            for number, (id_, day) in enumerate(events, start=1)
        ]
        for block in range(blocks):
            part = rows[block::blocks]
            frame = pl.DataFrame(part, schema=STAGED, orient="row")
            staging.add(frame, note={"block": block})
        return staging

    return stage


def finish(staging, lake):
    taken = sum(merge(staging, lake, find_repeats(staging, lake)))
    staging.close()
    return taken


def kill_after(days, staging, lake):
    """Merge some days, and go no further."""
    going = merge(staging, lake, find_repeats(staging, lake))
    for _ in range(days + 1):
        next(going)
    staging.close()


def events(lake):
    found = lake.scan_all().select("id", day=pl.col("at").dt.day()).collect()
    return sorted(found.iter_rows())


def days_are_right(lake):
    return all(
        lake.path_of(day).exists()
        and pl.read_parquet(lake.path_of(day))["at"].dt.date().unique().to_list()
        == [day]
        for day in lake.days()
    )


def test_a_killed_merge_goes_on_where_it_was(stage, lake):
    staging = stage("a", *((f"u{n}", n) for n in range(10, 20)))
    kill_after(4, staging, lake)

    again = Staging(lake.root / ".staging" / "file" / "a")
    assert len(again.merged) >= 4
    finish(again, lake)
    assert events(lake) == [(f"u{n}", n) for n in range(10, 20)]


def test_another_import_between_a_kill_and_its_resumption_loses_nothing(stage, lake):
    first = (("u1", 20), ("u2", 21))
    finish(stage("one", *first), lake)
    kill_after(1, stage("two", ("u1", 10), ("u2", 11)), lake)

    finish(stage("one-again", *first), lake)
    finish(Staging(lake.root / ".staging" / "file" / "two"), lake)

    assert events(lake) == [("u1", 10), ("u2", 11)]


def test_days_merged_before_do_not_shift_those_that_are_left(stage, lake):
    kill_after(5, stage("a", *((f"u{n}", n) for n in range(10, 20))), lake)
    finish(stage("b", ("u19", 1)), lake)

    finish(Staging(lake.root / ".staging" / "file" / "a"), lake)

    assert events(lake) == [(f"u{n}", n) for n in range(10, 20)]
    assert days_are_right(lake)
    assert date(2025, 5, 1) not in lake.days()


@pytest.mark.parametrize("harm", ["a block is gone", "a line is cut", "a line is odd"])
def test_what_is_broken_of_the_staging_is_staged_again(stage, lake, harm):
    staging = stage("a", ("u1", 1), ("u2", 2), ("u3", 3), blocks=3)
    staging.close()
    folder = lake.root / ".staging" / "file" / "a"
    journal = folder / "journal.jsonl"
    if harm == "a block is gone":
        (folder / "000001.parquet").unlink()
    elif harm == "a line is cut":
        journal.write_bytes(journal.read_bytes()[:-5])
    else:
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(lines[0] + b"\0\0\n" + lines[2])

    again = Staging(folder)

    sound = 2 if harm == "a line is cut" else 1
    assert again.note == {"block": sound - 1}
    assert sum(again.sizes().values()) == sound
    again.add(pl.DataFrame(schema=STAGED), note={"block": 9})
    again.close()
    last = Staging(folder)
    last.close()
    assert last.note == {"block": 9}
