"""When to look, and what to do then.

APScheduler only wakes us. What is due, and whether it already ran, is read from our own
tables: a job's run is a row with a unique key, a cohort knows whether it was enrolled,
a message when it falls due. So two wake-ups, a late one or a changed clock do no harm,
and simulated time runs the very same steps, jumping from one due moment to the next.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from threading import Event
from typing import Any, Final

import structlog

from campaigns.clock import Clock, SimulatedClock
from campaigns.domain.campaign import Schedule
from campaigns.domain.values import Cohort
from campaigns.errors import CampaignFileError, SendError
from campaigns.present.report import WeeklyReport
from campaigns.rules.recurrence import Recurrence
from campaigns.steps import (
    deliver,
    distribute,
    enrol,
    import_file,
    learn,
    receive,
    report,
    score,
    settle,
    sync,
    verdicts,
)
from campaigns.steps.desk import Desk
from campaigns.steps.perform import Ends, perform, write_ends
from campaigns.store import (
    campaigns,
    cohorts,
    instance,
    runs,
)
from campaigns.store.session import Sessions

logger = structlog.get_logger(__name__)

_DELIVER_SECONDS: Final = 1
_RECEIVE_SECONDS: Final = 5
_LOOK_SECONDS: Final = 20
_SCORES_HOLD_FOR: Final = timedelta(hours=20)
_AFTER_SENDING: Final = timedelta(minutes=1)
_WHILE_EVENTS_COME: Final = timedelta(hours=1)
_WHILE_NONE_COME: Final = timedelta(hours=6)


TIMETABLE: Final = {
    sync.JOB: Recurrence(hour=1),
    "settle": Recurrence(hour=1),
    learn.JOB: Recurrence(3, weekday=6),
    "report": Recurrence(6, weekday=0),
}


@dataclass(slots=True)
class Work:
    """Everything a wake-up may have to do.

    Attributes:
        sessions: The database.
        clock: The time.
        desk: Sends.
        post: Receives.
        learning: Scores.
        programme: Enrols.
        reporting: Reports.
        import_place: Imports.
        sync: Learns from SES's own list whom not to write to.
        settle: Settles returns as of a moment.
        learn: Learns all that can be, if it is to.
        beat: Records that the sender is alive.
        publish: Writes a week's report where people find it.
        distribution: Sends it to its subscribers.
        stop: Set once nothing new is begun.
    """

    sessions: Sessions
    clock: Clock
    desk: Desk
    post: receive.Post
    learning: score.Learning
    programme: enrol.Programme
    reporting: verdicts.Reporting
    import_place: import_file.Workplace
    sync: Callable[[], sync.SyncResult]
    settle: Callable[[datetime], settle.SettleResult]
    learn: Callable[[datetime], list[learn.Learnt]]
    beat: Callable[[datetime], None]
    publish: Callable[[WeeklyReport], object]
    distribution: distribute.Distribution
    stop: Event = field(default_factory=Event)
    known_runs: dict[str, datetime] = field(default_factory=dict)
    ends: Ends = field(default_factory=deque, init=False)


def occurrences(schedule: Schedule, after: datetime) -> list[datetime]:
    """Return every moment a campaign's schedule enrols at, in UTC.

    Raises:
        CampaignFileError: The cron expression is not understood.
    """
    if schedule.cron is None:
        return [_one_date(schedule.on, after)]
    from apscheduler.triggers.cron import CronTrigger

    weekday = schedule.cron.split()[-1]
    if any(letter.isdigit() for letter in weekday):
        raise CampaignFileError(
            f"schedule.cron: {schedule.cron!r}: write weekdays by name (mon, tue-thu); "
            "as numbers they mean different days to different programs"
        )
    try:
        trigger = CronTrigger.from_crontab(schedule.cron, timezone=UTC)
    except ValueError as error:
        raise CampaignFileError(
            f"schedule.cron: {schedule.cron!r} is not understood ({error}); write five "
            'fields such as "0 8 * * mon", weekdays by name'
        ) from error
    found: list[datetime] = []
    moment: datetime | None = None
    for _ in range(schedule.cohorts or 1):
        start = after if moment is None else moment + timedelta(seconds=1)
        moment = trigger.get_next_fire_time(None, start)
        if moment is None:
            break
        found.append(moment.astimezone(UTC))
    return found


def _one_date(on: datetime | date | None, after: datetime) -> datetime:
    if isinstance(on, datetime):
        return on.astimezone(UTC) if on.tzinfo else on.replace(tzinfo=UTC)
    if isinstance(on, date):
        return datetime.combine(on, time(), UTC)
    return after


def look(work: Work) -> None:
    """Do what is due besides sending, receiving, learning: settle, report, enrol."""
    write_ends(work.sessions, work.ends)
    with work.sessions.begin() as session:
        has_news = settle.is_news(session, now=work.clock())
    if has_news:
        # Whoever came back must neither be enrolled nor written to.
        work.settle(work.clock())
    run_due_jobs(work)
    send_reports(work)
    enrol_due(work)
    deliver.finish(work.desk)


def enrol_due(work: Work) -> None:
    """Enrol each due cohort, with fresh scores; one that fails stops no other.

    One that is late for any reason waits for a person.
    """
    now = work.clock()
    for cohort in enrol.due(work.sessions, now=now):
        if enrol.pause_if_late(work.sessions, cohort, now=now):
            continue
        _run(
            work,
            f"enrol {cohort.campaign}",
            cohort.due_at,
            partial(_enrol, work, cohort, now),
        )


def _enrol(work: Work, cohort: Cohort, now: datetime) -> dict[str, Any]:
    latest = score.latest(work.learning, before=now)
    with work.sessions.begin() as session:
        lacks_some = enrol.lacks_scores(session, cohort.campaign, now=now)
    if latest is None or lacks_some or now - latest > _SCORES_HOLD_FOR:
        score.score(work.learning, as_of=now)
    enrolled = enrol.enrol(work.sessions, cohort, programme=work.programme, now=now)
    return enrolled._asdict()


def run_due_jobs(work: Work) -> None:
    """Run each job of the timetable that is due and did not run for that time.

    But learning, which takes long: `learn_due` does that by itself.
    """
    for job in TIMETABLE:
        if job != learn.JOB:
            _run_due(work, job)


def learn_due(work: Work) -> None:
    """Learn if it is time to."""
    _run_due(work, learn.JOB)


def _run_due(work: Work, job: str) -> None:
    due_at = TIMETABLE[job].latest(work.clock())
    if work.known_runs.get(job) != due_at:
        _run(work, job, due_at, partial(_JOBS[job], work, due_at))
        _know(work, job, due_at)


def send_reports(work: Work) -> None:
    """Send the week's report to each subscriber who is due it and has not got it.

    A copy sends none: the original did, or will.
    """
    distribution = work.distribution
    with work.sessions.begin() as session:
        if instance.waits_because(session) is not None:
            return
    for reader in distribution.readers:
        due_at = distribute.due_at(reader, hour=distribution.hour, now=work.clock())
        if work.known_runs.get(reader.job) == due_at:
            continue
        content = distribute.report_due(work.sessions, reader, due_at)
        if content is None:
            continue
        act = partial(
            distribute.send_report, distribution, work.sessions, reader, content
        )
        _run(work, reader.job, due_at, act)
        _know(work, reader.job, due_at)


def _know(work: Work, job: str, due_at: datetime) -> None:
    """Remember that a job was done, so that the database is not asked all the time."""
    with work.sessions.begin() as session:
        if runs.is_done(session, job, due_at=due_at):
            work.known_runs[job] = due_at


def _run(
    work: Work, job: str, due_at: datetime, act: Callable[[], dict[str, Any]]
) -> None:
    perform(work.sessions, work.clock, work.ends, job, due_at, act)


def _sync(work: Work, _due_at: datetime) -> dict[str, Any]:
    return asdict(work.sync())


def _settle(work: Work, _due_at: datetime) -> dict[str, Any]:
    result = work.settle(work.clock())
    given = verdicts.give_verdicts(work.reporting, now=work.clock())
    return {**result._asdict(), "verdicts": given}


def _report(work: Work, due_at: datetime) -> dict[str, Any]:
    # Of the week that ended at midnight, however late the wake-up is.
    as_of = datetime.combine(due_at.date(), time(), UTC)
    with work.sessions.begin() as session:
        if not campaigns.were_launched(session, before=due_at):
            return {"week": None}
    gathered = report.gather(work.reporting, as_of=as_of)
    report.keep(work.reporting, gathered, now=work.clock())
    work.publish(gathered)
    return {"week": gathered.week}


def _learn(work: Work, _due_at: datetime) -> dict[str, Any]:
    found = work.learn(work.clock())
    return {each.kind: [each.version, each.action, each.sentence] for each in found}


_JOBS: Final = {
    sync.JOB: _sync,
    "settle": _settle,
    learn.JOB: _learn,
    "report": _report,
}


def deliver_on(work: Work) -> None:
    """Deliver, and go on where only the rate makes it wait for less than a wake-up."""
    while not work.stop.is_set():
        again_at = deliver.deliver(work.desk).again_at
        wait = (again_at - work.clock()).total_seconds() if again_at else None
        if wait is None or wait > _DELIVER_SECONDS or work.stop.wait(max(0, wait)):
            return


@contextmanager
def awake(work: Work, *, only_sends: bool = False) -> Iterator[None]:
    """Keep waking up while the context lasts; what runs at its end is finished.

    Args:
        work: What there may be to do.
        only_sends: Whether another process schedules and receives.
    """
    from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(5)},
        # A late wake-up is still a wake-up, and several late ones are one.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    jobs: list[tuple[Callable[[], object], int]] = [
        (lambda: deliver_on(work), _DELIVER_SECONDS),
        # By itself: what is due may take long, and the heart may not stand still.
        (lambda: work.beat(work.clock()), _LOOK_SECONDS),
    ]
    if not only_sends:
        jobs += [
            (lambda: receive.receive(work.post), _RECEIVE_SECONDS),
            (lambda: look(work), _LOOK_SECONDS),
            # By itself: it may take an hour, in which accounts come back.
            (lambda: learn_due(work), _LOOK_SECONDS),
        ]
    for job, every in jobs:
        scheduler.add_job(job, "interval", seconds=every, next_run_time=work.clock())

    def report_error(event: JobExecutionEvent) -> None:
        logger.error(
            "wake_up_failed", error=str(event.exception), trace=event.traceback
        )

    scheduler.add_listener(report_error, EVENT_JOB_ERROR)
    scheduler.start()
    try:
        yield
    finally:
        work.stop.set()
        scheduler.shutdown(wait=True)


def simulate(
    work: Work,
    clock: SimulatedClock,
    *,
    until: datetime,
    each_day: Callable[[date], None] = lambda _day: None,
    progress: Callable[[datetime], None] = lambda _now: None,
) -> None:
    """Let simulated time pass up to `until`, jumping from one due moment to the next.

    Args:
        work: What there is to do; it reads the same clock.
        clock: Is moved.
        until: Where to stop.
        each_day: Is told every new day before anything else happens on it.
        progress: Is told every moment.
    """
    day: date | None = None
    receive_at = clock()
    while clock() < until:
        now = clock()
        progress(now)
        if day != now.date():
            day = now.date()
            each_day(day)
        work.beat(now)
        learn_due(work)
        look(work)
        delivered = deliver.deliver(work.desk)
        if now >= receive_at:
            came = _receive_all(work)
            receive_at = now + (_WHILE_EVENTS_COME if came else _WHILE_NONE_COME)
            if came and _is_due(work, now):
                # What came lets a campaign post more.
                delivered.again_at = now + _AFTER_SENDING
        if delivered.endings:
            receive_at = min(receive_at, now + _AFTER_SENDING)
        clock.jump_to(min(until, _next_moment(work, now, receive_at, delivered)))
        with work.sessions.begin() as session:
            instance.simulate_until(session, clock())
    look(work)


def _is_due(work: Work, now: datetime) -> bool:
    due_at = deliver.next_due_at(work.desk)
    return due_at is not None and due_at <= now


def _receive_all(work: Work) -> bool:
    """Empty the queue; say whether anything came."""
    try:
        return bool(receive.receive(work.post).kinds)
    except SendError as error:
        logger.warning("not_received", error=str(error))
        return False


def _next_moment(
    work: Work,
    now: datetime,
    receive_at: datetime,
    delivered: deliver.DeliverResult,
) -> datetime:
    """Return the next moment at which something is due."""
    with work.sessions.begin() as session:
        cohort_at = cohorts.next_cohort_at(session, after=now)
        retry_at = runs.next_retry_at(session, after=now)
    if delivered.again_at is not None:
        message_at: datetime | None = delivered.again_at
    else:
        message_at = deliver.next_due_at(work.desk)
    moments = [
        receive_at,
        datetime.combine(now.date() + timedelta(days=1), time(), UTC),
        *(recurrence.next(now) for recurrence in TIMETABLE.values()),
        *(
            distribute.due_at(
                reader, hour=work.distribution.hour, now=now + timedelta(days=7)
            )
            for reader in work.distribution.readers
        ),
        *(moment for moment in (cohort_at, message_at, retry_at) if moment),
    ]
    # A moment already past was dealt with just now or waits for something else.
    return min(moment for moment in moments if moment > now)
