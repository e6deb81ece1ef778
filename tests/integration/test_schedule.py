"""What is due runs once; what failed is kept with its cause and tried again by rule."""

import json
from datetime import timedelta
from threading import Event
from types import SimpleNamespace

import pytest
import structlog

from campaigns import schedule
from campaigns.clock import system_clock
from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.errors import ConfigError, RetryLaterError
from campaigns.steps import enrol
from campaigns.steps.compare import Baseline
from campaigns.steps.distribute import Distribution
from campaigns.steps.perform import write_ends
from campaigns.steps.settle import SettleResult
from campaigns.steps.sync import SyncResult
from campaigns.steps.verdicts import Reporting
from campaigns.store import campaigns, runs
from campaigns.store.usage import UsageLake
from tests.factories import campaign


class Settling:
    """Settles, or fails as it is told to."""

    def __init__(self):
        self.errors = []
        self.done = 0

    def __call__(self, _now):
        if self.errors:
            raise self.errors.pop(0)
        self.done += 1
        return SettleResult(0, 0, 0)


@pytest.fixture
def settling():
    return Settling()


class Syncing:
    """Learns from SES's list, or is refused."""

    error = None

    def __call__(self):
        if self.error:
            raise self.error
        return SyncResult(read=3, added=1)


@pytest.fixture
def syncing():
    return Syncing()


@pytest.fixture
def work(sessions, clock, tmp_path, settling, syncing):
    reporting = Reporting(
        sessions,
        UsageLake(tmp_path / "usage"),
        "Tidemark",
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        Baseline(0.12),
        {},
    )
    return schedule.Work(
        sessions=sessions,
        clock=clock,
        desk=None,
        post=None,
        learning=None,
        learn=lambda _now: [],
        programme=None,
        reporting=reporting,
        import_place=None,
        sync=syncing,
        settle=settling,
        beat=lambda _now: None,
        publish=lambda _report: None,
        distribution=Distribution((), 8, lambda _report: None, lambda _email: None),
    )


def latest(work):
    with work.sessions.begin() as session:
        return {run.job: run for run in runs.latest(session)}


def test_a_job_runs_once_for_a_due_time(work, settling, clock):
    schedule.run_due_jobs(work)
    schedule.run_due_jobs(work)
    assert settling.done == 1

    clock.advance(days=1)
    schedule.run_due_jobs(work)
    assert settling.done == 2
    assert latest(work)["settle"].result["settled"] == 0


def test_a_run_that_failed_shows_its_cause_and_is_tried_again_by_rule(
    work, settling, clock
):
    settling.errors = [ConfigError("the key is gone"), OSError("disk full")]
    schedule.run_due_jobs(work)
    assert latest(work)["settle"].error == "the key is gone"
    schedule.run_due_jobs(work)
    assert settling.done == 0

    clock.advance(minutes=5)
    schedule.run_due_jobs(work)
    assert latest(work)["settle"].error == "OSError: the log says more"
    clock.advance(minutes=29)
    schedule.run_due_jobs(work)
    assert settling.done == 0
    clock.advance(minutes=1)
    schedule.run_due_jobs(work)

    run = latest(work)["settle"]
    assert (settling.done, run.error, run.attempts, run.retry_at) == (1, None, 3, None)


def test_an_end_that_cannot_be_written_is_written_at_the_next_wake_up(
    work, settling, clock
):
    """Else the run would stand as begun for ever, and its work be never done again."""
    begin, broken = work.sessions.begin, []

    def fails_once_done():
        if settling.errors == [] and not broken:
            broken.append(True)
            raise OSError("the database is gone")
        return begin()

    settling.errors = [OSError("the database is gone")]
    work.sessions = SimpleNamespace(begin=fails_once_done)
    with pytest.raises(OSError, match="is gone"):
        schedule.run_due_jobs(work)
    assert [run.job for run in unfinished(work)] == ["settle"]
    write_ends(work.sessions, work.ends)

    assert (unfinished(work), len(work.ends)) == ([], 0)
    clock.advance(minutes=5)
    schedule.run_due_jobs(work)
    assert (settling.done, latest(work)["settle"].attempts) == (1, 2)


def unfinished(work):
    with work.sessions.begin() as session:
        return runs.unfinished(session)


def test_the_list_of_ses_is_learnt_every_night_and_a_refusal_is_seen(
    work, syncing, settling, clock
):
    schedule.run_due_jobs(work)
    assert latest(work)["sync"].result["added"] == 1

    syncing.error = RetryLaterError("SES refused")
    clock.advance(days=1)
    schedule.run_due_jobs(work)
    run = latest(work)["sync"]
    assert (run.error, run.retry_at is None) == ("SES refused", False)
    assert settling.done == 2


def test_one_job_that_fails_stops_no_other(work, settling):
    settling.errors = [ConfigError("no")]
    schedule.run_due_jobs(work)

    found = latest(work)
    assert found["settle"].error
    assert found["report"].error is None


def test_nothing_that_is_due_waits_for_who_learns(work):
    has_begun, may_end = Event(), Event()

    def learn(_now):
        has_begun.set()
        assert may_end.wait(60)
        return []

    work.learn, work.clock = learn, system_clock
    with schedule.awake(work):
        assert has_begun.wait(60)
        while "report" not in latest(work):
            may_end.wait(0.1)
        assert latest(work)["learn"].finished_at is None
        may_end.set()
    assert latest(work)["learn"].result == {}


def test_what_a_run_logs_bears_its_number_and_its_job(work, settling, capsys):
    settling.errors = [ConfigError("the key is gone")]
    old = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        cache_logger_on_first_use=False,
    )
    try:
        schedule.run_due_jobs(work)
    finally:
        structlog.configure(**old)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "run_failed"]
    assert (failed["run"], failed["job"]) == (latest(work)["settle"].id, "settle")


def test_a_cohort_that_is_late_waits_for_a_person_whatever_made_it_late(
    work, sessions, clock
):
    """A heart that beats does not say that anybody looked: no blast of old mails."""
    due = [clock() + timedelta(days=1), clock() + timedelta(days=2)]
    with sessions.begin() as session:
        campaigns.apply(session, campaign(), now=clock())
        campaigns.launch(session, "spring", cohorts=due, now=clock())
    clock.advance(days=2, hours=1)
    schedule.enrol_due(work)

    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
        assert (status.state, status.cohorts_enrolled) == ("paused", 0)
        assert (
            "its cohort 1 was due on 2026-01-06 at 12:00 UTC" in status.paused_because
        )
        assert runs.latest(session) == []
        campaigns.resume(session, "spring", now=clock())
    late, in_time = enrol.due(sessions, now=clock())
    assert not enrol.pause_if_late(sessions, late, now=clock() + timedelta(hours=1))
    assert enrol.pause_if_late(sessions, late, now=clock() + timedelta(hours=1.1))
    assert enrol.pause_if_late(sessions, in_time, now=clock())  # it is paused
