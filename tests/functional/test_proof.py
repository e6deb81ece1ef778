"""A share of the proofs: each of their ways, a few times."""

import re
import shutil

import pytest

from benchmarks import backlog, races, stops, syscalls
from benchmarks.breakages import BREAKAGES, break_copy
from benchmarks.interleavings import tried
from benchmarks.limits import limited, throttled
from benchmarks.proof_measurement import PROOFS, claims
from benchmarks.workers import THREADS
from campaigns.simulation.trials import bench
from tests.conftest import ROOT, not_tried


@pytest.fixture(scope="module")
def shared_bench():
    with bench() as made:
        yield made


def test_throttling_loses_nothing_and_costs_little(shared_bench):
    sent = throttled(shared_bench, mails=500, burst_every=200)

    assert sent.accepted == 500
    assert sent.throttled == 10
    # Two bursts in forty seconds; the proof has one in seventy.
    assert sent.accepted / sent.seconds > 0.85 * 14


def test_the_daily_quota_is_kept_to_the_mail(shared_bench):
    sent = limited(shared_bench, mails=450)

    assert (sent.by_day, sent.throttled, sent.posts) == ((200, 200, 50), 0, 450)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_no_mail_is_attempted_after_a_committed_no(request, database):
    found = tried(request.getfixturevalue(f"{database}_url"), mails=300)

    assert found.late == []
    assert found.before > 0 < found.never


def test_a_paused_campaign_is_posted_no_more(sqlite_url, tmp_path):
    left = stops.paused(sqlite_url, tmp_path, workers=1, times=2, mails=2_000)

    # Each thread may have one in flight, and hold one for which nothing forbade it.
    assert left.after <= 2 * 2 * THREADS


def test_once_ses_pauses_the_account_nothing_more_is_posted(sqlite_url, tmp_path):
    left = stops.halted(sqlite_url, tmp_path, workers=1, mails=500)

    assert left.is_kept(workers=1), left


@pytest.mark.parametrize("has_keys", [True, False])
def test_two_schedulers_plan_each_mail_once_because_of_the_unique_keys(
    postgres_url, has_keys
):
    assert bool(races.planned_twice(postgres_url, has_keys=has_keys)) is not has_keys


def test_hours_without_events_lose_none_and_hold_no_mail_that_is_out(shared_bench):
    left = backlog.worked_off(shared_bench, events=600)

    assert (left.queued, left.taken, left.in_doubt, left.held) == (600, 600, 6, 0)
    assert left.states == {("accepted", "delivered"): 300}


@pytest.mark.parametrize(
    ("name", "mishap", "points", "ends"),
    [
        ("SQLite", "killed", 8, {"killed", "well"}),
        ("PostgreSQL", "killed", 4, {"killed", "well"}),
        ("SQLite", "disk full", 4, {"clean"}),
        ("SQLite", "disk broken", 8, {"clean", "well"}),
    ],
)
def test_a_sender_that_dies_anywhere_mails_nobody_twice(
    postgres, name, mishap, points, ends
):
    if not syscalls.can_be_tried():
        not_tried("system calls: no strace on this machine")
    left = list(syscalls.tried(name, mishap, points))

    assert [each for each in left if not each.is_whole] == []
    assert {each.end for each in left} <= ends
    # Where threads share the calls out by chance, one of them may not come.
    assert sum(each.is_hit for each in left) > points / 2
    assert (
        sum(sum(each.books.states.values()) for each in left) == points * syscalls.MAILS
    )


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_the_breakages_fit_the_engine_as_it_is(breakage, tmp_path):
    shutil.copytree(ROOT / "campaigns", tmp_path / "campaigns")

    break_copy(breakage, tmp_path)

    for edit in breakage.edits:
        broken = (tmp_path / edit.file).read_text("utf-8")
        assert edit.after in broken
        assert edit.before not in broken or edit.before in edit.after


@pytest.mark.parametrize("name", ["power", "losses", "visitors"])
def test_programmes_whose_truth_is_known_are_measured_well(name, tmp_path):
    (row,) = PROOFS[name](is_full=False, _kept=tmp_path)

    assert row.broken == []
    assert re.search(r"9\d\.\d%|100\.0%", row.result)


def test_a_plain_test_every_week_claims_what_is_not_there_and_ours_does_not():
    ours, plain = claims(count=200, rate=0.12, accounts=3_000, holdout=0.2, seed=1)

    assert ours <= 2
    assert plain > 30
