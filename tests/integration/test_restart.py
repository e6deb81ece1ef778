"""What a sender finds at its start, and when it asks a person first."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from campaigns.domain.words import CampaignState, SuppressionReason
from campaigns.errors import ActionRefusedError, SenderBusyError
from campaigns.rules.copies import Mark
from campaigns.steps.copies import CopyGuard
from campaigns.steps.deliver import deliver
from campaigns.steps.restart import restart as restart_as
from campaigns.store import campaigns, changes, instance, suppressions, workers
from campaigns.store.session import WatchedSessions, make_sessions, open_engine
from campaigns.store.tables.delivery import AttemptRow
from campaigns.store.upserts import insert_new
from campaigns.store.watermark import Watermark, mark_of
from campaigns.store.workers import at_work
from campaigns.wiring.sending import beat as alive
from tests.factories import campaign, desk, enrolled
from tests.fakes import FakeSes, MarkInMemory


@pytest.fixture
def watermark(tmp_path):
    return Watermark(tmp_path / "sent-up-to.json")


@pytest.fixture
def sender(sessions, clock, watermark):
    guard = CopyGuard(sessions, watermark)
    return desk(sessions, FakeSes(clock), clock, guard=guard)


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def restart(sessions, watermark, *, now):
    guard = CopyGuard(sessions, watermark)
    return restart_as(sessions, guard, worker="worker-1", now=now)


def accept(sessions):
    with sessions.begin() as session:
        instance.accept(session)


def resume(sessions):
    with sessions.begin() as session:
        campaigns.resume(session, "spring", now=NOW)


def state(sessions):
    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
    return status.state, status.paused_because


def test_a_first_start_and_one_soon_after_pause_nothing(
    sender, sessions, watermark, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    assert restart(sessions, watermark, now=clock()) is None
    deliver(sender)
    assert watermark.read() == Mark("test", 2, 0)

    assert restart(sessions, watermark, now=clock.advance(minutes=59)) is None
    assert state(sessions) == (CampaignState.RUNNING, None)


def test_the_mark_is_set_before_a_mail_goes_out(sender, sessions, watermark, clock):
    enrolled(sessions)
    seen = []
    sender.send = lambda _emails: seen.append(watermark.read()) or ["ses-1"]
    restart(sessions, watermark, now=clock())
    deliver(sender)

    assert seen == [Mark("test", 1, 0)]


@pytest.mark.parametrize(
    ("above", "told"),
    [
        ({"attempt": 3}, "of the last 3 posts and 0 changes"),
        ({"changes": 2}, "of the last 0 posts and 2 changes"),
    ],
)
def test_a_restored_database_sends_nothing_until_a_person_says_so(
    sender, sessions, watermark, clock, above, told
):
    enrolled(sessions, ["acc-1", "acc-2"])
    restart(sessions, watermark, now=clock())
    # The mark knows of more than the copy does.
    watermark.raise_to("test", **above)

    because = restart(sessions, watermark, now=clock.advance(minutes=1))

    assert "this database was restored" in because
    assert told in because
    assert state(sessions) == (CampaignState.PAUSED, because)
    assert deliver(sender).endings == {}
    # Another start does not forget it, nor does one who has not looked.
    assert restart(sessions, watermark, now=clock()) == because
    with pytest.raises(ActionRefusedError, match="winback accept-copy"):
        resume(sessions)
    assert deliver(sender).endings == {}
    accept(sessions)
    assert restart(sessions, watermark, now=clock()) is None
    assert deliver(sender).endings == {}
    resume(sessions)
    assert deliver(sender).endings == {"accepted": 2}


def test_a_copy_in_which_nothing_runs_lets_nothing_be_launched(
    sender, sessions, watermark, clock
):
    with sessions.begin() as session:
        campaigns.apply(session, campaign(), now=clock())
    restart(sessions, watermark, now=clock())
    watermark.raise_to("test", attempt=3)

    assert "the last 3 posts" in restart(sessions, watermark, now=clock())
    with pytest.raises(ActionRefusedError, match="restored"):
        launch_it(sessions, clock)
    accept(sessions)
    launch_it(sessions, clock)
    assert state(sessions)[0] is CampaignState.RUNNING


def launch_it(sessions, clock):
    with sessions.begin() as session:
        campaigns.launch(session, "spring", cohorts=[clock()], now=clock())


def test_the_same_copy_restored_once_more_is_known_again(
    sender, sessions, watermark, clock, tmp_path
):
    enrolled(sessions, ["acc-1", "acc-2"])
    restart(sessions, watermark, now=clock())
    watermark.raise_to("test", changes=2)
    assert "does not know of" in restart(sessions, watermark, now=clock())
    assert watermark.read() == Mark("test", 0, 0, 1)

    # The copy knows nothing of the pause, nor of the epoch that it began.
    accept(sessions)
    resume(sessions)
    with sessions.begin() as session:
        session.execute(text("UPDATE instance SET epoch = 0"))
    because = restart(sessions, watermark, now=clock())

    assert because == "this database was restored from a copy that was restored before"
    assert deliver(sender).endings == {}
    assert watermark.read().epoch == 2
    # And a mark of before there were epochs is understood.
    old = '{"instance": "test", "attempt": 0, "changes": 0}'
    (tmp_path / "sent-up-to.json").write_text(old)
    accept(sessions)
    assert restart(sessions, watermark, now=clock()) is None


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (None, "lived elsewhere"),
        (Mark("other", 1, 0), "from another database"),
        # A standby's own: it mailed once, and the original went on.
        (Mark("test", 0, 0), "sent from elsewhere meanwhile"),
    ],
)
def test_a_database_in_a_strange_place_waits(
    sender, sessions, watermark, clock, tmp_path, mark, told
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    deliver(sender)
    elsewhere = Watermark(tmp_path / "elsewhere.json")
    if mark:
        elsewhere.set(mark)

    assert told in restart(sessions, elsewhere, now=clock())


@pytest.fixture
def marking(engine, sessions, watermark, clock):
    """Sessions that raise the mark, in a workspace that a sender began in."""
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    return make_sessions(engine, watermark)


def say_no(session, number=0):
    hash_ = f"{number:064}"
    suppressions.suppress(session, hash_, SuppressionReason.MANUAL, now=NOW)


def test_a_no_raises_the_mark_before_it_is_committed(marking, watermark):
    at_commit = []
    with marking.begin() as session:
        say_no(session)
        assert watermark.read().changes == 0
        event.listen(
            session, "before_commit", lambda _: at_commit.append(watermark.read())
        )
    assert [mark.changes for mark in at_commit] == [1]
    # Several at once are one change; what adds nothing is none.
    with marking.begin() as session:
        say_no(session, 1)
        say_no(session, 2)
    with marking.begin() as session:
        campaigns.status(session, "spring")
    assert watermark.read().changes == 2


def say_no_in_vain(sessions, because):
    with sessions.begin() as session:
        say_no(session)
        event.listen(session, "before_commit", because)


def test_a_no_that_is_not_committed_lowers_the_mark_again(marking, watermark, clock):
    def fail(session):
        assert watermark.read().changes == 1
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        say_no_in_vain(marking, fail)

    assert watermark.read().changes == 0
    assert restart(marking, watermark, now=clock()) is None


def test_what_a_copy_is_told_does_not_make_up_for_what_it_lacks(
    marking, sessions, watermark, clock
):
    """A no that was said before the restoration, and another after it."""
    watermark.raise_to("test", changes=1)
    with marking.begin() as session:
        say_no(session)

    assert watermark.read().changes == 2
    assert "2 changes" not in (because := restart(sessions, watermark, now=clock()))
    assert "0 posts and 1 changes" in because


def test_a_mark_begins_with_the_first_change_not_with_the_first_start(
    engine, sessions, watermark, clock
):
    enrolled(sessions)
    with make_sessions(engine, watermark).begin() as session:
        say_no(session)
        say_no(session, 1)
    assert watermark.read() == Mark("test", 0, 1)
    # A copy of before it is known, though no sender ever began.
    with sessions.begin() as session:
        session.execute(text("UPDATE changes SET count = 0"))
    assert "0 posts and 1 changes" in restart(sessions, watermark, now=clock())


@pytest.mark.parametrize("found", [None, Mark("other", 7, 7)])
def test_a_mark_that_is_not_ours_is_left_to_the_next_start(
    engine, sender, sessions, watermark, clock, tmp_path, found
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    deliver(sender)
    (tmp_path / "sent-up-to.json").unlink()
    if found:
        watermark.set(found)
    with make_sessions(engine, watermark).begin() as session:
        say_no(session)
    assert watermark.read() == found


def test_a_no_is_taken_though_the_mark_cannot_be_raised(
    marking, sessions, watermark, clock, tmp_path
):
    mark = tmp_path / "sent-up-to.json"
    mark.write_text("{")
    with marking.begin() as session:
        say_no(session)
    with sessions.begin() as session:
        assert suppressions.is_suppressed(session, "0" * 64)
    # The next beat raises it, once it can.
    mark.write_text('{"instance": "test", "attempt": 0, "changes": 0}')
    CopyGuard(sessions, watermark).raise_mark()
    assert watermark.read().changes == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_sender_that_lost_the_database_for_long_pauses(
    engine, marking, watermark, clock
):
    guard = CopyGuard(marking, watermark)
    with at_work(engine, "worker-1", schedules=True) as presence:
        alive(marking, guard, presence, clock())
        clock.advance(hours=2)
        presence.end()
        alive(marking, guard, presence, clock())

    assert "no sender ran since" in state(marking)[1]


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_second_scheduler_leaves_no_lock_behind(engine):
    other = open_engine(engine.url.render_as_string(hide_password=False))
    with at_work(engine, "worker-1", schedules=True):
        for _ in range(2):
            with pytest.raises(SenderBusyError), at_work(other, "w-2", schedules=True):
                pass
        with make_sessions(engine).begin() as session:
            assert not workers.is_alive(session, "w-2")
            assert workers.is_alive(session, "worker-1")
    other.dispose()


def test_a_sender_that_starts_waits_for_the_no_that_is_being_committed(
    marking, sessions, watermark, clock
):
    """The mark knows of it already, and the database not yet: that is no copy."""
    with ThreadPoolExecutor(1) as pool:
        with marking.begin() as session:
            say_no(session)
            event.listen(
                session,
                "before_commit",
                lambda _: (
                    starts.append(
                        pool.submit(restart, sessions, watermark, now=clock())
                    )
                    or time.sleep(0.3)
                ),
            )
            starts: list = []
        assert starts[0].result() is None


def test_attempts_above_the_mark_that_were_not_posted_are_nobody_elses(
    sender, sessions, watermark, clock
):
    """What a kill leaves between the commit of attempts and the mark."""
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    with sessions.begin() as session:
        insert_new(
            session,
            AttemptRow,
            {"message": 1, "number": 1, "worker": "worker-0", "posted_at": clock()},
        )
    assert restart(sessions, watermark, now=clock()) is None
    assert watermark.read().attempt == 1


def test_a_copy_of_before_the_first_mail_is_asked_about_elsewhere(
    sessions, watermark, clock, tmp_path
):
    enrolled(sessions)
    assert restart(sessions, watermark, now=clock()) is None

    elsewhere = Watermark(tmp_path / "elsewhere.json")
    assert "lived elsewhere" in restart(sessions, elsewhere, now=clock())


def put_back(watermark):
    """Let the mark know of more, as it does once the database was put back."""
    watermark.raise_to("test", attempt=7)


def test_a_database_put_back_under_its_sender_mails_nobody_twice(
    sender, sessions, watermark, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    restart(sessions, watermark, now=clock())
    put_back(watermark)

    delivered = deliver(sender)

    assert "the last 7 posts" in delivered.halted
    assert (delivered.endings, watermark.read().attempt) == ({}, 0)
    assert "the last 7 posts" in state(sessions)[1]
    assert deliver(sender).endings == {}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", [shutil.copyfile, shutil.move])
def test_a_file_put_in_the_place_of_another_is_seen_at_once(
    engine, sender, sessions, watermark, clock, tmp_path, way
):
    enrolled(sessions, ["acc-1", "acc-2"])
    restart(sessions, watermark, now=clock())
    copy = tmp_path / "copy.db"
    shutil.copyfile(engine.url.database, copy)
    assert deliver(sender).endings == {"accepted": 2}

    way(copy, engine.url.database)

    assert "the last 2 posts" in deliver(sender).halted
    assert state(sessions)[0] is CampaignState.PAUSED


def test_a_beat_finds_out_that_the_database_was_put_back(sessions, watermark, clock):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    put_back(watermark)
    CopyGuard(sessions, watermark).beat(now=clock())

    assert "the last 7 posts" in state(sessions)[1]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_file_put_back_with_its_mark_is_seen_by_a_sender_that_was_there(
    engine, sender, sessions, watermark, clock, tmp_path
):
    enrolled(sessions, ["acc-1", "acc-2"])
    sender.guard.ask(now=clock())
    files = [Path(engine.url.database), tmp_path / "sent-up-to.json"]
    for file in files:
        shutil.copyfile(file, file.with_suffix(".backup"))
    assert deliver(sender).endings == {"accepted": 2}

    for file in files:
        file.with_suffix(".backup").replace(file)
    sender.guard.beat(now=clock())

    assert "the last 2 posts" in state(sessions)[1]
    assert watermark.read().epoch == 1


def test_nothing_goes_while_a_person_has_to_look_whatever_runs(
    sender, sessions, watermark, clock
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    with sessions.begin() as session:
        instance.wait_for_a_person(session, because="a test", epoch=0)

    delivered = deliver(sender)

    assert (delivered.endings, delivered.halted) == ({}, "a test")
    assert state(sessions)[0] is CampaignState.PAUSED


def test_the_mark_sinks_to_what_was_found_and_counts_the_pause(
    marking, sessions, watermark, clock
):
    watermark.raise_to("test", attempt=7)
    CopyGuard(marking, watermark).ask(now=clock())

    with sessions.begin() as session:
        assert watermark.read() == mark_of(session)
    assert (watermark.read().attempt, watermark.read().epoch) == (0, 1)


def test_a_copy_is_found_again_where_what_was_found_could_not_be_committed(
    marking, sessions, watermark, clock
):
    watermark.raise_to("test", attempt=7)

    def fail(session):
        raise OSError("the disk is full")

    event.listen(marking, "before_commit", fail)
    with pytest.raises(OSError, match="disk is full"):
        CopyGuard(marking, watermark).ask(now=clock())
    assert state(sessions)[0] is CampaignState.RUNNING

    because = restart(sessions, watermark, now=clock())
    assert because == "this database was restored from a copy that was restored before"


def test_mails_of_another_machine_are_asked_about_by_those_alone_who_were_not_here(
    sender, sessions, clock
):
    enrolled(sessions)
    mark = MarkInMemory()
    guard = CopyGuard(sessions, mark)
    assert guard.ask(now=clock()) is None
    sender.guard.raise_mark()
    assert deliver(sender).endings == {"accepted": 1}

    assert guard.ask(now=clock()) is None
    mark.set(Mark("test", 0, 0))
    assert "from elsewhere" in CopyGuard(sessions, mark).ask(now=clock())


def test_a_mark_of_another_machine_follows_once_a_person_was_asked(
    sessions, watermark, clock
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    of_another = MarkInMemory()
    of_another.set(Mark("test", 5, 5))
    with sessions.begin() as session:
        instance.wait_for_a_person(session, because="a test", epoch=1)
    accept(sessions)

    assert CopyGuard(sessions, of_another).ask(now=clock()) is None
    assert of_another.read() == Mark("test", 0, 0, 1)


def test_a_beat_that_misses_the_mark_makes_none(sessions, watermark, clock, tmp_path):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    (tmp_path / "sent-up-to.json").unlink()
    CopyGuard(sessions, watermark).beat(now=clock())

    assert "lived elsewhere" in state(sessions)[1]


@pytest.mark.parametrize("damaged", ["", "{", '{"attempt": "many"}', "[]"])
def test_a_mark_that_is_damaged_is_asked_about_and_made_anew(
    sender, sessions, watermark, clock, tmp_path, damaged
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    (tmp_path / "sent-up-to.json").write_text(damaged)

    assert "cannot be understood" in deliver(sender).halted
    assert "cannot be understood" in state(sessions)[1]
    accept(sessions)
    resume(sessions)
    assert deliver(sender).endings == {"accepted": 1}
    assert watermark.read() == Mark("test", 1, 0, 1)


def test_a_mark_that_cannot_be_read_stops_a_sender_and_nothing_is_in_doubt(
    sender, sessions, watermark, clock, tmp_path
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    (tmp_path / "sent-up-to.json").unlink()
    (tmp_path / "sent-up-to.json").mkdir()

    with pytest.raises(IsADirectoryError):
        deliver(sender)
    (tmp_path / "sent-up-to.json").rmdir()
    watermark.set(Mark("test", 0, 0))
    assert deliver(sender).endings == {"accepted": 1}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_database_of_another_name_mails_under_its_own(
    engine, sender, sessions, watermark, clock
):
    """A sender goes on in a database that was put in its place and accepted."""
    enrolled(sessions)
    sender.guard.ask(now=clock())
    with sessions.begin() as session:
        session.execute(text("UPDATE instance SET name = 'other'"))
    assert "from another database" in deliver(sender).halted
    accept(sessions)
    resume(sessions)

    tags = []
    send = sender.send
    sender.send = lambda mails: tags.extend(mail.tags for mail in mails) or send(mails)
    assert deliver(sender).endings == {"accepted": 1}
    assert [each["wb_instance"] for each in tags] == ["other"]
    assert watermark.read() == Mark("other", 1, 0, 1)


class Unasked(CopyGuard):
    def ask(self, *, now):
        raise AssertionError(now)


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_change_that_is_being_committed_makes_no_sender_suspicious(
    sender, marking, sessions, watermark, clock
):
    sender.guard = Unasked(sessions, watermark)
    with ThreadPoolExecutor(1) as pool:
        with marking.begin() as session:
            changes.note(session)
            event.listen(
                session,
                "before_commit",
                lambda _: sent.append(pool.submit(deliver, sender)) or time.sleep(0.3),
            )
            sent: list = []
        assert sent[0].result().endings == {"accepted": 1}


def test_a_mark_is_raised_by_several_at_once(tmp_path):
    """The sender, its heart and the unsubscribe page, each with its own object."""

    def raise_it(number):
        mark = Watermark(tmp_path / "mark.json")
        for n in range(number, 400, 4):
            mark.raise_to("test", **{("attempt", "changes")[number % 2]: n})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_it, range(4)))

    assert Watermark(tmp_path / "mark.json").read() == Mark("test", 398, 399)


def test_after_a_long_silence_nothing_is_sent_unasked(
    sender, sessions, watermark, clock
):
    enrolled(sessions)
    restart(sessions, watermark, now=clock())
    with sessions.begin() as session:
        instance.beat(session, now=clock() + timedelta(minutes=30))

    assert restart(sessions, watermark, now=clock.advance(minutes=89)) is None
    assert "no sender ran since" in restart(
        sessions, watermark, now=clock.advance(hours=2)
    )


def test_a_sender_whose_machine_slept_asks_before_it_posts(
    sender, sessions, watermark, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    sender.guard = CopyGuard(sessions, watermark, notices_sleep=True)
    sender.guard.ask(now=clock())
    clock.advance(hours=26)

    # The thread that delivers is the first to wake up.
    assert "no sender ran since" in deliver(sender).halted
    assert state(sessions)[0] is CampaignState.PAUSED
    resume(sessions)
    assert deliver(sender).endings == {"accepted": 2}


@pytest.mark.parametrize(("minutes", "is_paused"), [(59, False), (61, True)])
def test_a_heart_that_stood_still_for_long_asks(
    sessions, watermark, clock, minutes, is_paused
):
    enrolled(sessions)
    guard = CopyGuard(sessions, watermark, notices_sleep=True)
    guard.ask(now=clock())
    guard.beat(now=clock.advance(minutes=minutes))

    assert (state(sessions)[0] is CampaignState.PAUSED) is is_paused


def test_a_first_start_that_dies_at_its_end_makes_the_next_not_suspicious(
    engine, sessions, watermark, clock
):
    enrolled(sessions)

    def die(_point):
        with sessions.begin() as session:
            assert instance.alive_at(session) is not None
        raise KeyboardInterrupt

    dying = WatchedSessions(engine, lambda at: at == "after commit" and die(at))
    with pytest.raises(KeyboardInterrupt):
        CopyGuard(dying, watermark).ask(now=clock())

    assert restart(sessions, watermark, now=clock()) is None


def test_who_takes_events_and_who_asks_do_not_wait_for_each_other(
    marking, sessions, watermark, clock
):
    with ThreadPoolExecutor(1) as pool:
        with marking.begin() as session:
            instance.saw_empty_queue(session, now=clock())
            changes.note(session)
            asked = pool.submit(CopyGuard(sessions, watermark).ask, now=clock())
            time.sleep(0.3)
        assert asked.result() is None
