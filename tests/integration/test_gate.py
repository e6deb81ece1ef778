"""A no and an attempt: one is committed before the other, and sees or stops it."""

import threading
from functools import partial

import pytest
from sqlalchemy import delete, select, update

from campaigns.domain.values import Return
from campaigns.domain.words import Arm, MessageState, ReturnKind, SuppressionReason
from campaigns.steps.deliver import deliver
from campaigns.store import campaigns, episodes, gate, suppressions
from campaigns.store.session import WatchedSessions
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import EnrolmentRow, HoldoutRow
from campaigns.store.tables.records import ContactRow
from tests.factories import NOON, address_hash, desk, enrolled, states
from tests.fakes import FakeSes


def suppress(session):
    address = address_hash("p1@acc-1.example.com")
    suppressions.suppress(session, address, SuppressionReason.MANUAL, now=NOON)


def come_back(session):
    (episode,) = episodes.open_episodes(session)
    back = Return("acc-1", NOON, ReturnKind.PAID)
    episodes.record_returns(session, [(episode, back)])


def pause(session):
    campaigns.pause(session, "spring", now=NOON)


def in_a_transaction(sessions, say_no, done):
    with sessions.begin() as session:
        say_no(session)
    done.set()


@pytest.mark.parametrize("say_no", [suppress, come_back, pause])
def test_a_no_waits_for_attempts_that_are_being_committed(sessions, say_no):
    """Else a mail could go out after a no that its last check could not see."""
    enrolled(sessions)
    done = threading.Event()
    thread = threading.Thread(target=in_a_transaction, args=(sessions, say_no, done))

    with sessions.begin() as session:
        gate.before_posting(session)
        assert episodes.open_episodes(session)
        thread.start()
        came_between = done.wait(0.5)
    assert not came_between
    assert done.wait(20)
    thread.join()


@pytest.mark.parametrize("say_no", [suppress, come_back])
def test_an_attempt_waits_for_a_no_and_sees_it(engine, sessions, ses_and_desk, say_no):
    enrolled(sessions)
    ses, make_desk = ses_and_desk
    committed = threading.Event()
    begun = []

    def watch(point):
        begun.append(point)
        # The third transaction claims; what comes after it meets the no.
        if begun.count("after commit") == 3 and not committed.is_set():
            with sessions.begin() as session:
                say_no(session)
            committed.set()

    deliver(make_desk(WatchedSessions(engine, watch)))

    assert committed.is_set()
    assert ses.posts == 0


def test_a_mail_that_was_made_for_an_earlier_address_is_made_anew(
    engine, sessions, ses_and_desk
):
    """Else what comes back of it would be booked on an address it never went to."""
    enrolled(sessions)
    ses, make_desk = ses_and_desk
    now_at = address_hash("new@acc-1.example.com")
    moved = []

    def watch(point):
        if point != "after commit" or moved:
            return
        with sessions.begin() as session:
            if session.scalar(select(MessageRow.state)) == MessageState.CLAIMED:
                new = {"email": "new@acc-1.example.com", "address_hash": now_at}
                session.execute(update(ContactRow).values(new))
                moved.append(new)

    deliver(make_desk(WatchedSessions(engine, watch)))

    assert moved
    assert [email.to for email in ses.taken] == ["new@acc-1.example.com"]
    with sessions.begin() as session:
        assert session.scalar(select(MessageRow.address_hash)) == now_at


@pytest.mark.parametrize("whose", ["another's mail", "one held out"])
def test_a_contact_that_moved_to_anothers_address_is_not_written_to(
    sessions, ses_and_desk, clock, whose
):
    """Who shares an address is one: they get one mail, or none if one is held out."""
    enrolled(sessions, ["acc-1", "acc-2"])
    ses, make_desk = ses_and_desk
    there = "p1@acc-1.example.com"
    with sessions.begin() as session:
        moved = {"email": there, "address_hash": address_hash(there)}
        to = update(ContactRow).where(ContactRow.account == "acc-2")
        session.execute(to.values(moved))
        if whose == "one held out":
            session.execute(
                update(HoldoutRow)
                .where(HoldoutRow.account == "acc-1")
                .values(arm=Arm.HOLDOUT)
            )
            ours = select(EnrolmentRow.id).where(EnrolmentRow.account == "acc-1")
            # As if another campaign held it out: no mail of this one goes there.
            session.execute(delete(MessageRow).where(MessageRow.enrolment.in_(ours)))
    deliver(make_desk(sessions))
    clock.advance(days=40)
    deliver(make_desk(sessions))

    assert [email.to for email in ses.taken] == [there] * (whose == "another's mail")
    with sessions.begin() as session:
        last = select(MessageRow.state, MessageRow.reason).order_by(
            MessageRow.id.desc()
        )
        assert session.execute(last.limit(1)).one() == ("skipped", "window_closed")


def test_of_several_contacts_that_moved_to_one_address_one_is_written_to(
    sessions, ses_and_desk
):
    enrolled(sessions, ["acc-1", "acc-2", "acc-3"])
    ses, make_desk = ses_and_desk
    there = "shared@example.com"
    with sessions.begin() as session:
        moved = {"email": there, "address_hash": address_hash(there)}
        session.execute(update(ContactRow).values(moved))
    deliver(make_desk(sessions))

    assert [email.to for email in ses.taken] == [there]
    assert [state for state, _ in states(sessions)] == ["accepted", *["planned"] * 2]


@pytest.fixture
def ses_and_desk(clock):
    ses = FakeSes(clock)
    return ses, partial(desk, ses=ses, clock=clock)
