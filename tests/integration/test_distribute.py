"""The weekly report reaches each subscriber once, on Monday where they live."""

from datetime import timedelta

import pytest
import structlog

from campaigns import schedule
from campaigns.config import ChurnSettings, WinBackSettings
from campaigns.domain.words import SuppressionReason
from campaigns.errors import OutcomeUnknownError, RetryLaterError
from campaigns.present.pages import Pages
from campaigns.steps import report
from campaigns.steps.compare import Baseline
from campaigns.steps.distribute import Distribution, Letter, Reader, due_at
from campaigns.steps.verdicts import Reporting
from campaigns.store import runs, suppressions
from campaigns.store.usage import UsageLake
from tests.factories import ROOT, address_hash, at, enrolled

MONDAY = at("2026-02-09T06:00")


@pytest.mark.parametrize(
    ("zone", "now", "due"),
    [
        ("UTC", "2026-02-09T08:00", "2026-02-09T08:00"),
        ("UTC", "2026-02-09T07:59", "2026-02-02T08:00"),
        ("Europe/Berlin", "2026-02-09T07:00", "2026-02-09T07:00"),
        ("America/New_York", "2026-02-09T12:59", "2026-02-02T13:00"),
        ("Asia/Tokyo", "2026-02-08T23:00", "2026-02-08T23:00"),
        ("Asia/Tokyo", "2026-02-15T22:59", "2026-02-08T23:00"),
        # In summer an hour earlier.
        ("Europe/Berlin", "2026-07-08T00:00", "2026-07-06T06:00"),
    ],
)
def test_a_report_is_due_on_mondays_at_the_readers_hour(zone, now, due):
    reader = Reader("vp@example.com", "h", zone)

    assert due_at(reader, hour=8, now=at(now)) == at(due)


class Office:
    """Takes mails, or answers what it is told to."""

    def __init__(self):
        self.mails, self.answers = [], []

    def send(self, email):
        self.mails.append(email)
        if self.answers:
            raise self.answers.pop(0)
        return f"ses-{len(self.mails)}"


@pytest.fixture
def office():
    return Office()


@pytest.fixture
def work(sessions, clock, tmp_path, office):
    enrolled(sessions)
    clock.jump_to(MONDAY)
    reporting = Reporting(
        sessions,
        UsageLake(tmp_path / "usage"),
        "Tidemark",
        ChurnSettings().definition(),
        WinBackSettings().definition(),
        Baseline(0.12),
        {},
    )
    report.keep(reporting, report.gather(reporting, as_of=at("2026-02-09")), now=MONDAY)
    pages = Pages(ROOT / "templates")
    readers = (
        Reader("vp@example.com", address_hash("vp@example.com"), "Europe/Berlin"),
        Reader("cm@example.com", address_hash("cm@example.com"), "America/New_York"),
    )
    nothing = dict.fromkeys(
        (
            *("desk", "post", "learning", "programme", "import_place"),
            *("sync", "settle", "learn", "beat", "publish"),
        )
    )
    return schedule.Work(
        sessions=sessions,
        clock=clock,
        reporting=reporting,
        distribution=Distribution(
            readers, 8, lambda each: Letter(*pages.report_mail(each)), office.send
        ),
        **nothing,
    )


def results(work):
    with work.sessions.begin() as session:
        return {run.job: run.result or run.error for run in runs.latest(session)}


def test_each_gets_it_once_on_their_own_monday(work, office, clock):
    schedule.send_reports(work)
    assert office.mails == []

    clock.jump_to(at("2026-02-09T07:00"))
    for _ in range(3):
        schedule.send_reports(work)
        work.known_runs.clear()
    assert [mail.to for mail in office.mails] == ["vp@example.com"]
    assert office.mails[0].pictures == ()  # no window has closed

    clock.jump_to(at("2026-02-11T03:00"))  # late, but not too late
    schedule.send_reports(work)
    assert [mail.to for mail in office.mails] == ["vp@example.com", "cm@example.com"]
    mail = office.mails[0]
    assert mail.subject == "Win-back, week 2026-W06 – spring: stale data"
    assert mail.tags == {"wb_instance": "test", "wb_report": "2026-W06"}
    assert "Nobody knows who came back lately." in mail.html
    assert "**Nobody knows who came back lately." in mail.text
    assert "<script" not in mail.html


def test_before_it_is_made_nobody_gets_one(work, office, clock):
    clock.jump_to(at("2026-02-16T20:00"))
    schedule.send_reports(work)

    assert office.mails == []


def test_a_lost_answer_is_no_reason_to_send_again(work, office, clock):
    office.answers = [OutcomeUnknownError("ReadTimeoutError")]
    clock.jump_to(at("2026-02-09T07:00"))
    for _ in range(3):
        schedule.send_reports(work)
        clock.advance(hours=1)

    assert len(office.mails) == 1
    (result,) = results(work).values()
    assert result == {"outcome": "unknown", "week": "2026-W06"}


def test_what_was_not_taken_is_tried_again(work, office, clock):
    office.answers = [RetryLaterError("EndpointConnectionError")]
    clock.jump_to(at("2026-02-09T07:00"))
    schedule.send_reports(work)
    (error,) = results(work).values()
    assert error == "EndpointConnectionError"

    clock.advance(hours=3)
    schedule.send_reports(work)
    assert len(office.mails) == 2
    (result,) = results(work).values()
    assert result["outcome"] == "accepted"


def test_a_suppressed_subscriber_gets_none_and_no_address_is_kept(
    work, office, clock, sessions
):
    with sessions.begin() as session:
        suppressions.suppress(
            session,
            address_hash("vp@example.com"),
            SuppressionReason.HARD_BOUNCE,
            now=MONDAY,
        )
    clock.jump_to(at("2026-02-09T20:00"))
    with structlog.testing.capture_logs() as logs:
        schedule.send_reports(work)

    assert [mail.to for mail in office.mails] == ["cm@example.com"]
    kept = str(results(work)) + str(logs)
    assert "'outcome': 'suppressed'" in kept
    assert "@" not in kept


def test_a_week_later_the_next_one_comes(work, office, clock):
    clock.jump_to(at("2026-02-09T20:00"))
    schedule.send_reports(work)
    clock.advance(days=7)
    report.keep(
        work.reporting,
        report.gather(work.reporting, as_of=at("2026-02-16")),
        now=clock(),
    )
    schedule.send_reports(work)

    assert [mail.tags["wb_report"] for mail in office.mails] == [
        *("2026-W06", "2026-W06"),
        *("2026-W07", "2026-W07"),
    ]
    assert clock() - timedelta(days=7) > MONDAY
