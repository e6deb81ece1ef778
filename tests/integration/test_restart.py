"""What a sender finds at its start, and when it asks a person first."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import event, text

from campaigns.domain.words import CampaignState, SuppressionReason
from campaigns.errors import ConfigError
from campaigns.steps.deliver import deliver
from campaigns.steps.restart import beat
from campaigns.steps.restart import restart as restart_as
from campaigns.store import campaigns, instance, suppressions
from campaigns.store.session import make_sessions
from campaigns.store.watermark import Mark, Watermark
from campaigns.store.workers import at_work
from campaigns.wiring.sending import beat as alive
from tests.factories import desk, enrolled
from tests.fakes import FakeSes


@pytest.fixture
def watermark(tmp_path):
    return Watermark(tmp_path / "sent-up-to.json")


@pytest.fixture
def sender(sessions, clock, watermark):
    def remember(attempt):
        watermark.raise_to("test", attempt=attempt)

    return desk(sessions, FakeSes(clock), clock, remember=remember)


NOW = datetime(2026, 6, 1, tzinfo=UTC)
restart = partial(restart_as, worker="worker-1")


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
    # Another start does not forget it.
    assert restart(sessions, watermark, now=clock()) is None
    assert deliver(sender).endings == {}
    with sessions.begin() as session:
        campaigns.resume(session, "spring", now=clock())
    assert deliver(sender).endings == {"accepted": 2}


def test_the_same_copy_restored_once_more_is_known_again(
    sender, sessions, watermark, clock, tmp_path
):
    enrolled(sessions, ["acc-1", "acc-2"])
    restart(sessions, watermark, now=clock())
    watermark.raise_to("test", changes=2)
    assert "does not know of" in restart(sessions, watermark, now=clock())
    assert watermark.read() == Mark("test", 0, 1, 1)  # the pause is a change

    # The copy knows nothing of the pause, nor of the epoch that it began.
    with sessions.begin() as session:
        campaigns.resume(session, "spring", now=clock())
        instance.begin_epoch(session, 0)
    because = restart(sessions, watermark, now=clock())

    assert because == "this database was restored from a copy that was restored before"
    assert deliver(sender).endings == {}
    assert watermark.read().epoch == 2
    # And a mark of before there were epochs is understood.
    old = '{"instance": "test", "attempt": 0, "changes": 0}'
    (tmp_path / "sent-up-to.json").write_text(old)
    assert restart(sessions, watermark, now=clock()) is None


@pytest.mark.parametrize(
    ("mark", "told"),
    [(None, "sent from elsewhere"), (Mark("other", 1, 0), "from another database")],
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
    beat(sessions, watermark, now=clock())
    assert watermark.read().changes == 1


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_sender_that_lost_the_database_looks_whether_it_was_put_back(
    engine, marking, watermark, clock
):
    with at_work(engine, "worker-1", schedules=True) as presence:
        watermark.raise_to("test", attempt=9)
        alive(marking, watermark, presence, clock())
        assert state(marking) == (CampaignState.RUNNING, None)

        presence.end()
        alive(marking, watermark, presence, clock())

    assert "the last 9 posts" in state(marking)[1]


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


def test_what_is_no_mark_stops_the_start(sessions, watermark, clock, tmp_path):
    enrolled(sessions)
    (tmp_path / "sent-up-to.json").write_text('{"attempt": "many"}')

    with pytest.raises(ConfigError, match="delete the file"):
        restart(sessions, watermark, now=clock())
    with sessions.begin() as session:
        query = text("SELECT count(*) FROM campaigns WHERE state = 'running'")
        assert session.scalar(query) == 1
