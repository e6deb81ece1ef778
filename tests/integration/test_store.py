"""The store, on SQLite and on PostgreSQL."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from campaigns.domain.values import Posted, Return
from campaigns.domain.words import (
    MessageState,
    ModelAction,
    ReturnKind,
    SuppressionReason,
)
from campaigns.errors import ActionRefusedError, NotFoundError, SenderBusyError
from campaigns.store import (
    attempts,
    campaigns,
    changes,
    cohorts,
    doubts,
    episodes,
    facts,
    instance,
    messages,
    model_versions,
    records,
    runs,
    schema,
    scores,
    suppressions,
    workers,
)
from campaigns.store.model_versions import ModelDecision
from campaigns.store.session import check_sound, database_trouble, open_engine
from campaigns.store.tables import Base
from campaigns.store.tables.records import AccountRow
from campaigns.store.workers import at_work, is_sending
from tests.factories import (
    NOON,
    add_account,
    address_hash,
    campaign,
    churn,
    enrolled,
    gate_facts,
    subscription,
    words,
)

S = MessageState


def test_migrations_make_exactly_the_tables_in_code(engine):
    assert schema.is_current(engine)
    assert schema.differences(engine) == []


def test_a_full_database_goes_back_a_revision_and_comes_again(engine, sessions):
    enrolled(sessions, ["acc-1", "acc-2"])
    with sessions.begin() as session:
        session.execute(text("UPDATE accounts SET persona = id"))
        (episode, _) = episodes.open_episodes(session)
        back = Return(episode.account, NOON, ReturnKind.MERGED)
        episodes.record_returns(session, [(episode, back)])

    schema.downgrade(engine, "0012")
    schema.upgrade(engine)

    assert schema.differences(engine) == []
    assert words(sessions) == ["planned", "planned"]
    with sessions.begin() as session:
        kinds = session.scalars(text("SELECT return_kind FROM episodes ORDER BY id"))
        assert list(kinds) == ["resubscribed", None]
        personas = session.execute(text("SELECT persona, account FROM enrolments"))
        assert all(persona == account for persona, account in personas)
        assert changes.so_far(session) == 1  # the return; the mark was told so
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.execute(text("UPDATE episodes SET return_kind = 'other'"))
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.execute(text("UPDATE episodes SET return_kind = NULL"))
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.execute(text("DELETE FROM episodes"))


def test_every_table_of_the_design_exists(engine):
    there = set(inspect(engine).get_table_names()) - {"alembic_version"}

    assert there == set(Base.metadata.tables)
    assert {"tickets", "nps_answers", "suppressions", "messages"} <= there


def test_a_naive_time_is_refused(sessions):
    with pytest.raises(StatementError, match="without a zone"), sessions.begin() as s:
        s.add(
            AccountRow(
                id="a",
                name="A",
                attributes={},
                content_hash="",
                created_at=datetime(2026, 1, 1),  # noqa: DTZ001
            )
        )


def test_times_come_back_aware_and_in_utc(sessions):
    with sessions.begin() as session:
        add_account(
            session, created_at=datetime.fromisoformat("2026-01-01T01:00+01:00")
        )
    with sessions.begin() as session:
        row = session.get_one(AccountRow, "acc-1")
        assert facts.accounts(session)["created_at"].item() == row.created_at

    assert row.created_at.isoformat() == "2026-01-01T00:00:00+00:00"


def test_sqlite_syncs_fully_and_begins_immediately(sqlite_url):
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "truncate"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        other = open_engine(sqlite_url)
        with other.connect() as second:
            raw = second.connection.dbapi_connection
            raw.execute("PRAGMA busy_timeout = 1")
            with pytest.raises(Exception, match="locked"):
                raw.execute("BEGIN IMMEDIATE")
        other.dispose()
    engine.dispose()


def test_a_second_sender_is_refused(engine):
    with (
        at_work(engine, "one", schedules=True),
        pytest.raises(SenderBusyError, match="already sends"),
        at_work(engine, "two", schedules=True),
    ):
        pass
    assert not is_sending(engine), "it went with the first"
    with at_work(engine, "three", schedules=True):
        assert is_sending(engine)


def test_who_asks_is_not_taken_for_one_who_sends(engine):
    with at_work(engine, "one", schedules=True), ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_sending, [engine] * 200))
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(is_sending, [engine] * 200))


def test_a_changed_record_replaces_and_an_equal_one_is_recognised(sessions):
    one = subscription(id="s", plan="Team")
    with sessions.begin() as session:
        add_account(session)
        records.put(session, "subscriptions", [one], address_hash=address_hash)
        stored = records.stored_hashes(session, "subscriptions", [one])
        assert stored == {("s",): records.content_hash(one)}

        other = one.model_copy(update={"plan": "Business"})
        records.put(session, "subscriptions", [other], address_hash=address_hash)
        stored = records.stored_hashes(session, "subscriptions", [one])
        assert stored == {("s",): records.content_hash(other)}


def test_an_episode_opens_once_and_its_date_may_move(session):
    add_account(session)
    assert episodes.record_churn(session, {"acc-1": NOON}, definition="a") == 1
    later = NOON + timedelta(days=3)
    assert episodes.record_churn(session, {"acc-1": later}, definition="b") == 0

    (episode,) = episodes.open_episodes(session)
    assert (episode.sequence, episode.churned_at) == (1, later)


def test_a_new_episode_opens_only_after_a_return_and_for_a_later_churn(session):
    add_account(session)
    episodes.record_churn(session, {"acc-1": NOON}, definition="a")
    (first,) = episodes.open_episodes(session)
    back = NOON + timedelta(days=5)
    episodes.record_returns(session, [(first, Return("acc-1", back, ReturnKind.PAID))])

    assert episodes.record_churn(session, {"acc-1": NOON}, definition="a") == 0
    later = NOON + timedelta(days=50)
    assert episodes.record_churn(session, {"acc-1": later}, definition="a") == 1
    (second,) = episodes.open_episodes(session)
    assert second.sequence == 2


def test_scores_an_enrolment_was_decided_by_stay(sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        before = scores.of_batch(session, NOON)
        churn(session, "acc-1", segment="slow-fade")
        assert scores.of_batch(session, NOON) == before


def test_applying_an_unchanged_campaign_makes_no_version(session):
    assert campaigns.apply(session, campaign(), now=NOON) == (1, True)
    assert campaigns.apply(session, campaign(), now=NOON) == (1, False)
    assert campaigns.apply(session, campaign(steps=2), now=NOON) == (2, True)


def test_a_campaign_is_launched_once(session):
    campaigns.apply(session, campaign(), now=NOON)
    campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)

    with pytest.raises(ActionRefusedError, match="already"):
        campaigns.launch(session, "spring", cohorts=[NOON], now=NOON)
    with pytest.raises(NotFoundError, match="spring"):
        campaigns.launch(session, "sprig", cohorts=[NOON], now=NOON)


def test_the_database_itself_refuses_a_second_message_for_a_step(sessions):
    enrolled(sessions)
    columns = "enrolment, campaign, episode, contact, due_at, state, delivery"
    copies = [
        # The same enrolment and step, to another address.
        f"INSERT INTO messages ({columns}, step, template, address_hash) SELECT "
        f"{columns}, step, template, 'other' FROM messages",
        # The same address, step and episode, from another enrolment.
        f"INSERT INTO messages ({columns}, step, template, address_hash) SELECT "
        f"{columns}, step + 1, template, address_hash FROM messages",
    ]
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.execute(text(copies[0]))
    with sessions.begin() as session:
        session.execute(text(copies[1]))  # another step is another mail
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.execute(text(copies[1]))


def test_the_database_itself_refuses_a_state_that_is_none(sessions):
    enrolled(sessions)
    for change in ("state = 'sent'", "state = 'skipped'", "state = 'claimed'"):
        with pytest.raises(IntegrityError), sessions.begin() as session:
            session.execute(text(f"UPDATE messages SET {change}"))


def claim_and_post(session, message=1):
    messages.claim(
        session,
        [gate_facts(message=message)],
        worker="w",
        until=NOON + timedelta(minutes=5),
    )
    return attempts.begin(session, [gate_facts(message=message)], worker="w", now=NOON)[
        message
    ]


def state_of(session, message=1):
    return session.execute(
        text("SELECT state FROM messages WHERE id = :id"), {"id": message}
    ).scalar()


def test_a_message_moves_only_from_where_it_stands(sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        assert messages.move(session, 1, S.PLANNED, S.SKIPPED, reason="suppressed")
        assert not messages.move(session, 1, S.PLANNED, S.SKIPPED, reason="suppressed")
        with pytest.raises(AssertionError, match="no edge"):
            messages.move(session, 1, S.UNKNOWN, S.PLANNED)


def test_only_the_holder_of_a_running_lease_may_post(sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        messages.claim(session, [gate_facts()], worker="w", until=NOON)
        assert attempts.begin(session, [gate_facts()], worker="x", now=NOON) == {}
        late = NOON + timedelta(seconds=1)
        assert attempts.begin(session, [gate_facts()], worker="w", now=late) == {}


def test_attempts_are_numbered_and_kept(sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        first = claim_and_post(session)
        again = Posted(1, first, S.PLANNED, reason="throttled", not_before=NOON)
        attempts.settle(session, [again], now=NOON)
        second = claim_and_post(session)
        # What is recorded is not recorded again, whatever came between.
        attempts.settle(session, [again], now=NOON)
        attempts.settle(session, [Posted(1, second, S.ACCEPTED, "ses-1")], now=NOON)
        rows = session.execute(text("SELECT number, answer FROM attempts ORDER BY id"))

        assert rows.all() == [(1, "planned"), (2, "accepted")]
        assert state_of(session) == "accepted"


def test_a_killed_sender_leaves_unknowns_and_no_second_posting(sessions):
    enrolled(sessions, ["acc-1", "acc-2"])
    with sessions.begin() as session:
        claim_and_post(session, 1)
        messages.claim(
            session,
            [gate_facts(message=2)],
            worker="w",
            until=NOON + timedelta(minutes=5),
        )
    with sessions.begin() as session:
        assert workers.dead(session, but="w") == []
        assert workers.dead(session, but="x") == ["w"]
        assert attempts.sweep(session, "w", now=NOON) == (1, 1)
        assert (state_of(session, 1), state_of(session, 2)) == ("unknown", "planned")
        assert [each.id for each in doubts.in_doubt(session)] == [1]


def test_a_person_decides_only_on_what_is_held(sessions):
    enrolled(sessions)
    with sessions.begin() as session:
        with pytest.raises(ActionRefusedError, match="not held"):
            doubts.decide_held(session, 1, S.PLANNED, now=NOON)
        with pytest.raises(NotFoundError, match="no message 99"):
            doubts.decide_held(session, 99, S.PLANNED, now=NOON)
        claim_and_post(session)
        attempts.sweep(session, "w", now=NOON)
        (doubtful,) = doubts.in_doubt(session)
        assert doubts.hold_unknown(session, doubtful.id, now=NOON)
        assert doubts.held_of(session, "spring") == [1]
        assert doubts.held_of(session, "other") == []
        doubts.decide_held(session, 1, S.DROPPED, now=NOON)
        assert state_of(session) == "dropped"
        assert doubts.held_of(session, "spring") == []


def test_a_suppression_is_given_once_and_never_lifted(session):
    assert suppressions.suppress(session, "h", SuppressionReason.HARD_BOUNCE, now=NOON)
    assert not suppressions.suppress(
        session, "h", SuppressionReason.UNSUBSCRIBED, now=NOON
    )
    assert suppressions.counts(session) == {"hard_bounce": 1}


def test_a_job_is_begun_once_for_a_due_time_by_two_at_the_same_time(sessions):
    won = []

    def begin():
        with sessions.begin() as session:
            won.append(runs.begin(session, "settle", due_at=NOON, now=NOON))

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [each for each in won if each is not None] == [1]
    assert len(won) == 6


def test_a_run_that_a_kill_cut_off_is_run_again(session):
    runs.begin(session, "report", due_at=NOON, now=NOON)
    runs.forget_unfinished(session)

    run = runs.begin(session, "report", due_at=NOON, now=NOON)
    runs.end(session, run, now=NOON, error="no space left")
    (failed,) = runs.failed(session)
    assert (failed.job, failed.error) == ("report", "no space left")


def test_a_run_that_failed_is_tried_again_when_its_time_has_come(session):
    first = runs.begin(session, "report", due_at=NOON, now=NOON)
    runs.end(session, first, now=NOON, error="no space left")
    again_at = NOON + timedelta(minutes=5)
    assert runs.next_retry_at(session, after=NOON) == again_at

    def begin(now):
        return runs.begin(session, "report", due_at=NOON, now=now)

    assert begin(again_at - timedelta(seconds=1)) is None
    assert begin(again_at) == first
    assert begin(again_at) is None  # it runs
    runs.end(session, first, now=again_at, error="still none")
    assert runs.next_retry_at(session, after=NOON) == again_at + timedelta(minutes=30)

    later = NOON + timedelta(days=7)
    second = runs.begin(session, "report", due_at=later, now=later)
    runs.end(session, second, now=later, result={"week": "2026-W03"})
    assert begin(later) is None  # what is newer did it
    assert runs.failed(session) == []
    newest, oldest = runs.history(session, limit=5)
    assert (newest.id, newest.result) == (second, {"week": "2026-W03"})
    assert (oldest.error, oldest.attempts) == ("still none", 2)
    assert runs.is_done(session, "report", due_at=later)
    assert not runs.is_done(session, "report", due_at=NOON)


def test_a_campaign_of_the_longest_name_has_runs(session):
    assert runs.begin(session, f"enrol {'a' * 63}", due_at=NOON, now=NOON)


def test_one_model_is_active_and_decisions_are_kept(session):
    def decided(action, version):
        model_versions.decide(
            session, ModelDecision("segments", version, action, NOON, "because")
        )

    for version in ("one", "two"):
        model_versions.record(
            session, version, kind="segments", path=version, metadata={}, now=NOON
        )
        decided(ModelAction.TRAINED, version)
        assert model_versions.active(session, "segments") is None
    decided(ModelAction.PROMOTED, "one")
    decided(ModelAction.PROMOTED, "two")

    assert model_versions.active(session, "segments").version == "two"
    assert model_versions.active(session, "uplift") is None
    # Trained again, it stays in use.
    model_versions.record(
        session, "two", kind="segments", path="two", metadata={}, now=NOON
    )
    assert model_versions.active(session, "segments").version == "two"
    decided(ModelAction.RETIRED, None)
    assert model_versions.active(session, "segments") is None
    assert [each.version for each in model_versions.decisions(session, "segments")] == [
        None,
        "two",
        "one",
        "two",
        "one",
    ]


def test_a_model_is_found_by_how_its_version_begins(session):
    for version in ("abc1", "abd2"):
        model_versions.record(
            session, version, kind="segments", path=version, metadata={}, now=NOON
        )

    assert model_versions.find(session, "abc").version == "abc1"
    with pytest.raises(NotFoundError, match="2 models begin with 'ab'"):
        model_versions.find(session, "ab")
    with pytest.raises(NotFoundError, match="there are: abc1, abd2"):
        model_versions.find(session, "x")


def test_the_pulse_remembers_the_latest_mail_whose_event_came(session):
    for minutes in (5, 9, 7):
        instance.saw_send_event(session, mailed_at=NOON + timedelta(minutes=minutes))

    assert instance.pulse(session).last_send_mailed_at == NOON + timedelta(minutes=9)


def test_an_error_of_the_database_quotes_no_value(sessions):
    insert = text("INSERT INTO suppressions VALUES (:hash, 'manual', :at, NULL)")
    values = {"hash": "ada@example.com", "at": NOON.isoformat()}
    with sessions.begin() as session:
        session.execute(insert, values)
        with pytest.raises(IntegrityError) as caught:
            session.execute(insert, values)
        session.rollback()

    # PostgreSQL's own text names the key; ours adds nothing to it.
    assert "ada@example.com" not in str(caught.value).split("DETAIL")[0]


def test_a_later_cohort_does_not_end_the_tries_of_an_earlier_one(session):
    first = runs.begin(session, "enrol spring", due_at=NOON, now=NOON)
    runs.end(session, first, now=NOON, error="no model", replaces_earlier=False)
    later = NOON + timedelta(days=1)
    second = runs.begin(session, "enrol spring", due_at=later, now=later)
    runs.end(session, second, now=later, result={}, replaces_earlier=False)

    assert [run.id for run in runs.failed(session)] == [first]
    assert runs.begin(session, "enrol spring", due_at=NOON, now=later) == first


def test_a_run_that_was_killed_is_seen(session):
    run = runs.begin(session, "settle", due_at=NOON, now=NOON)
    assert [each.id for each in runs.unfinished(session)] == [run]

    runs.end(session, run, now=NOON)
    assert runs.unfinished(session) == []


def test_an_overdue_cohort_does_not_hide_the_next_one(session):
    later = NOON + timedelta(days=1)
    campaigns.apply(session, campaign(), now=NOON)
    campaigns.launch(session, "spring", cohorts=[NOON, later], now=NOON)

    assert cohorts.next_cohort_at(session) == NOON
    assert cohorts.next_cohort_at(session, after=NOON) == later


_LOSE_THE_OTHERS = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid != pg_backend_pid() AND datname = current_database()"
)


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_worker_whose_connection_was_lost_is_there_again(engine, sessions):
    with at_work(engine, "worker-1", schedules=True) as presence:
        for _ in range(2):
            with sessions.begin() as session:
                session.execute(_LOSE_THE_OTHERS)
            assert presence.hold()
            assert is_sending(engine)
        assert not presence.hold()
        with sessions.begin() as session:
            session.execute(_LOSE_THE_OTHERS)
        # And one that is lost at the end does not stand in its way.
    assert not is_sending(engine)


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_database_that_is_busy_is_not_called_damaged(sqlite_url, tmp_path, lock):
    engine = open_engine(sqlite_url)
    event.listen(
        engine, "connect", lambda each, _: each.execute("PRAGMA busy_timeout = 10")
    )
    schema.upgrade(engine)
    other = sqlite3.connect(tmp_path / "winback.db", isolation_level=None)
    other.execute(f"BEGIN {lock}")
    try:
        if lock == "IMMEDIATE":
            check_sound(engine)  # another writes: the file can be read
        else:
            with pytest.raises(sqlite3.OperationalError) as found:
                check_sound(engine)
            assert database_trouble(found.value) == "database is locked"
    finally:
        other.close()
        engine.dispose()
