"""Events: what comes back of mails, kept once, applied once, held against us."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
from sqlalchemy import text, update

from campaigns.domain.values import Return
from campaigns.domain.words import (
    Bounce,
    CampaignState,
    EventKind,
    MessageState,
    ReturnKind,
    SuppressionReason,
)
from campaigns.errors import (
    OutcomeUnknownError,
    RetryLaterError,
)
from campaigns.mail.sqs import translate
from campaigns.rules.guardrails import Feedback
from campaigns.steps.deliver import deliver
from campaigns.steps.receive import receive
from campaigns.store import (
    campaigns,
    doubts,
    episodes,
    events,
    gate,
    instance,
    records,
    rollout,
    suppressions,
)
from campaigns.store.tables.delivery import MessageRow
from tests.factories import (
    NOON,
    add_account,
    address_hash,
    campaign,
    churn,
    enrolled,
    launch,
    provider_event,
    received,
    states,
    words,
)


def _bounce(queue, *messages):
    for message in messages:
        event = provider_event(EventKind.BOUNCE, message=message, bounce=Bounce.HARD)
        queue.put(received(event))


def test_a_campaign_that_bounces_too_much_pauses_until_a_person_resumes_it(
    sender, post, queue, sessions, clock
):
    enrolled(sessions, [f"acc-{n}" for n in range(30)])
    deliver(sender)
    _bounce(queue, *range(1, 7))
    receive(post)
    with sessions.begin() as session:
        assert campaigns.state_of(session, "spring") is CampaignState.RUNNING

    _bounce(queue, 7, 8)
    receive(post)

    with sessions.begin() as session:
        status = campaigns.status(session, "spring")
        assert status.state is CampaignState.PAUSED
        assert status.paused_because.startswith(
            "8 hard bounces of 8 mails: above 2.5 %"
        )
        campaigns.resume(session, "spring", now=clock.advance(hours=1))
    # What was known before a person looked stops nothing again.
    _bounce(queue, 9)
    receive(post)
    with sessions.begin() as session:
        assert campaigns.state_of(session, "spring") is CampaignState.RUNNING


def test_who_asks_of_copies_does_not_block_who_takes_a_send_and_a_complaint(
    sender, post, queue, sessions, clock
):
    enrolled(sessions)
    deliver(sender)
    queue.put(received(provider_event(EventKind.SEND)))
    queue.put(received(provider_event(EventKind.COMPLAINT)))

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            gate.close(session)
            taken = pool.submit(receive, post)
            time.sleep(0.3)
            instance.beat(session, now=clock())
        assert taken.result().kinds == {"Send": 1, "Complaint": 1}


def test_a_lost_answer_is_settled_by_its_event(sender, ses, post, queue, sessions):
    enrolled(sessions)
    ses.fail_next(OutcomeUnknownError("read timed out"))
    deliver(sender)
    queue.put(received(provider_event(EventKind.SEND)))

    receive(post)

    assert words(sessions) == ["accepted"]
    assert ses.posts == 1


def test_a_lost_request_is_held_once_events_provably_flow(
    sender, ses, post, queue, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    receive(post)
    assert Counter(words(sessions)) == {"unknown": 1, "accepted": 1}

    clock.advance(minutes=20)
    later = provider_event(message=2, mail_at=NOON + timedelta(minutes=1))
    queue.put(received(later))
    receive(post)

    assert Counter(words(sessions)) == {"held": 1, "accepted": 1}
    with sessions.begin() as session:
        assert [each.state for each in doubts.in_doubt(session)] == ["held"]


def test_nothing_is_held_while_an_event_is_hidden_in_the_queue(
    sender, ses, post, queue, sessions, clock
):
    """A receiver that was killed took it: it comes again once its time is up."""
    enrolled(sessions, ["acc-1", "acc-2"])
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    queue.put(received(provider_event(message=1)))
    queue.receive()

    clock.advance(minutes=20)
    later = provider_event(message=2, mail_at=NOON + timedelta(minutes=1))
    queue.put(received(later))
    receive(post)
    assert Counter(words(sessions)) == {"unknown": 1, "accepted": 1}

    queue.time_passes()
    receive(post)
    assert Counter(words(sessions)) == {"accepted": 2}


def test_where_no_later_mail_comes_a_canary_proves_that_events_flow(
    sender, ses, post, queue, sessions, clock
):
    enrolled(sessions)
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    receive(post)
    assert ses.posts == 1

    for _ in range(3):
        clock.advance(minutes=6)
        receive(post)
    (canary,) = ses.taken
    assert canary.to == "success@simulator.amazonses.com"
    assert words(sessions) == ["unknown"]

    # Another instance's canary says nothing of our events.
    for name in ("other", "test"):
        told = provider_event(
            message=name, tags={**canary.tags, "wb_instance": name}, mail_at=clock()
        )
        queue.put(received(told))
        receive(post)
        assert words(sessions) == ["unknown" if name == "other" else "held"]
    clock.advance(days=1)
    receive(post)
    assert len(ses.taken) == 1


def test_a_canary_that_cannot_be_sent_is_tried_again_after_a_window(
    sender, ses, post, sessions, clock
):
    enrolled(sessions)
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    ses.fail_next(RetryLaterError("slow down"))

    for minutes in (16, 1, 13, 2):
        clock.advance(minutes=minutes)
        receive(post)

    assert words(sessions) == ["unknown"]
    assert ses.posts == 3
    assert len(ses.taken) == 1


def test_an_event_settles_even_what_was_given_up(
    sender, ses, post, queue, sessions, clock
):
    test_a_lost_request_is_held_once_events_provably_flow(
        sender, ses, post, queue, sessions, clock
    )
    with sessions.begin() as session:
        (held,) = doubts.in_doubt(session)
        doubts.decide_held(session, held.id, MessageState.DROPPED, now=clock())
    queue.put(received(provider_event(EventKind.DELIVERY, message=held.id)))
    receive(post)

    assert words(sessions) == ["accepted", "accepted"]


def test_events_twice_and_out_of_order_end_the_same(
    sender, post, queue, sessions, clock
):
    enrolled(sessions)
    deliver(sender)
    told = [
        provider_event(EventKind.DELIVERY, at=NOON + timedelta(seconds=2)),
        provider_event(EventKind.SEND),
        provider_event(EventKind.SEND),
    ]
    queue.put(*(received(event) for event in told))
    result = receive(post)

    assert result.kinds == {"Delivery": 1, "Send": 1}
    assert result.repeated == 1
    with sessions.begin() as session:
        row = session.execute(text("SELECT state, delivery FROM messages")).one()
    assert tuple(row) == ("accepted", "delivered")


def test_an_event_leaves_the_queue_only_when_it_is_kept(post, queue, sessions):
    enrolled(sessions)
    queue.put(received(provider_event()))
    broken = post._replace(
        delete=lambda _events: (_ for _ in ()).throw(RetryLaterError("gone"))
    )
    with pytest.raises(RetryLaterError):
        receive(broken)
    assert queue.deleted == []

    queue.time_passes()
    assert receive(post).repeated == 1
    assert len(queue.deleted) == 1


@pytest.mark.parametrize(
    ("kind", "bounce", "suppressed"),
    [
        (EventKind.BOUNCE, Bounce.HARD, {"hard_bounce": 1}),
        (EventKind.BOUNCE, Bounce.ON_SES_LIST, {"on_ses_list": 1}),
        (EventKind.BOUNCE, Bounce.SOFT, {}),
        (EventKind.COMPLAINT, None, {"complaint": 1}),
    ],
)
def test_hard_bounces_and_complaints_suppress_the_address(
    sender, post, queue, sessions, kind, bounce, suppressed
):
    enrolled(sessions)
    deliver(sender)
    queue.put(received(provider_event(kind, bounce=bounce)))
    receive(post)

    with sessions.begin() as session:
        assert suppressions.counts(session) == suppressed


def test_a_hard_bounce_counts_also_where_the_list_of_ses_was_learnt_first(
    sender, post, queue, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    deliver(sender)
    with sessions.begin() as session:
        listed, hash_ = (
            SuppressionReason.ON_SES_LIST,
            address_hash("p1@acc-1.example.com"),
        )
        suppressions.suppress(session, hash_, listed, now=clock())
    queue.put(received(provider_event(EventKind.BOUNCE, bounce=Bounce.HARD)))
    queue.put(received(provider_event(EventKind.BOUNCE, 2, bounce=Bounce.SOFT)))
    receive(post)

    with sessions.begin() as session:
        assert rollout.feedback(session)["spring"] == Feedback(
            2, bounced=1, complained=0
        )


@pytest.mark.parametrize("state", ["planned", "claimed"])
def test_a_mail_that_a_person_released_and_that_was_out_goes_out_no_more(
    sender, post, queue, ses, sessions, clock, state
):
    enrolled(sessions)
    deliver(sender)
    with sessions.begin() as session:
        # As after its release, with its event to come.
        lease = {"leased_by": "w", "leased_until": clock() + timedelta(minutes=10)}
        leased = lease if state == "claimed" else {}
        values = {"state": state, "delivery": "none", "leased_by": None} | leased
        session.execute(update(MessageRow).values(values))
    queue.put(received(provider_event(EventKind.SEND)))
    receive(post)
    deliver(sender)

    assert ses.posts == 1
    assert states(sessions) == [("accepted", "settled by an event")]


def test_a_complaint_counts_also_of_who_had_unsubscribed(
    sender, post, queue, sessions, clock
):
    enrolled(sessions, ["acc-1", "acc-2"])
    deliver(sender)
    with sessions.begin() as session:
        no = SuppressionReason.UNSUBSCRIBED
        hash_ = address_hash("p1@acc-1.example.com")
        suppressions.suppress(session, hash_, no, now=clock())
    queue.put(received(provider_event(EventKind.COMPLAINT)))
    queue.put(received(provider_event(EventKind.COMPLAINT, 2, is_approval=True)))
    receive(post)

    with sessions.begin() as session:
        assert rollout.feedback(session)["spring"].complained == 1
        assert suppressions.counts(session) == {"unsubscribed": 1}


@pytest.mark.parametrize("arrives", [False, True])
def test_five_mails_that_bounce_softly_one_after_the_other_suppress_the_address(
    sender, post, queue, sessions, clock, arrives
):
    """The third of six arrived in between; of the others each is told of twice."""
    names = [f"spring-{n}" for n in range(1, 7)]
    with sessions.begin() as session:
        add_account(session, "acc-1")
        churn(session, "acc-1")
    for number, name in enumerate(names, start=1):
        launch(sessions, campaign(name), now=clock())
        deliver(sender)
        with sessions.begin() as session:
            (episode,) = episodes.open_episodes(session)
            back = Return("acc-1", clock(), ReturnKind.PAID)
            episodes.record_returns(session, [(episode, back)])
            churn(session, "acc-1", days_ago=0, now=clock.advance(days=1))
        kind, bounce = EventKind.BOUNCE, Bounce.SOFT
        if arrives and number == 3:
            kind, bounce = EventKind.DELIVERY, None
        for _ in range(2):
            told = provider_event(kind, message=number, bounce=bounce, at=clock())
            queue.put(received(told))
        receive(post)
        with sessions.begin() as session:
            is_suppressed = suppressions.counts(session) == {"soft_bounces": 1}
        assert is_suppressed == (number >= 5 and not arrives)


def test_what_is_not_ours_or_not_understood_is_kept_and_harms_nobody(
    post, queue, sessions
):
    enrolled(sessions)
    foreign = provider_event(tags={"wb_instance": "other", "wb_message": "1"})
    queue.put(translate("no event", receipt="r"), received(foreign))

    result = receive(post)

    assert result.kinds == {"not_understood": 1, "Send": 1}
    assert words(sessions) == ["planned"]
    with sessions.begin() as session:
        assert events.count_not_taken(session) == 1


@pytest.mark.parametrize("number", [1, 77], ids=["reused", "unknown"])
def test_who_complains_of_a_mail_that_a_restored_database_forgot_is_suppressed(
    sender, ses, post, queue, sessions, number
):
    """Its number belongs to another mail now, or to none."""
    enrolled(sessions)
    ses.fail_next(OutcomeUnknownError("cut off"))
    deliver(sender)
    tags = {
        "wb_instance": "test",
        "wb_message": str(number),
        "wb_recipient": address_hash("lost@example.com"),
    }
    for kind in (EventKind.COMPLAINT, EventKind.SEND):
        queue.put(received(provider_event(kind, number, tags=tags)))

    receive(post)

    with sessions.begin() as session:
        assert suppressions.is_suppressed(session, address_hash("lost@example.com"))
        assert suppressions.counts(session) == {"complaint": 1}
    # Nor is the mail that has the number taken for one that went out.
    assert words(sessions) == ["unknown"]


@pytest.mark.parametrize("named", ["", "no hash", "0A" * 32, "0a" * 40])
def test_a_recipient_that_is_no_hash_is_none(post, queue, sessions, named):
    enrolled(sessions)
    tags = {"wb_instance": "test", "wb_message": "77", "wb_recipient": named}
    queue.put(received(provider_event(EventKind.COMPLAINT, 77, tags=tags)))

    assert receive(post).kinds == {"Complaint": 1}
    with sessions.begin() as session:
        assert suppressions.counts(session) == {}


def test_what_comes_back_is_about_the_address_the_mail_went_to(
    sender, post, queue, ses, sessions
):
    enrolled(sessions)
    with sessions.begin() as session:
        add_account(session, "acc-1", email="new@example.com")
    deliver(sender)
    assert ses.taken[0].to == "new@example.com"
    queue.put(received(provider_event(EventKind.COMPLAINT)))
    receive(post)

    with sessions.begin() as session:
        (contact,) = records.contacts_of(session, ["acc-1"], now=NOON)["acc-1"]
    assert contact.is_suppressed


def test_an_event_that_cannot_be_taken_is_parked_and_stops_no_other(
    sender, post, queue, sessions, engine
):
    enrolled(sessions, ["acc-1", "acc-2"])
    deliver(sender)
    poison = received(provider_event(EventKind.DELIVERY, message=1))
    # PostgreSQL keeps no NUL in its text, SQLite does.
    queue.put(
        replace(poison, raw="a\x00b"),
        received(provider_event(EventKind.DELIVERY, message=2)),
    )

    result = receive(post)

    parked = engine.dialect.name == "postgresql"
    assert result.parked == parked
    assert result.kinds["Delivery"] == 2 - parked
    assert len(queue.deleted) == 2
    with sessions.begin() as session:
        assert events.count_not_taken(session) == parked


def test_events_in_any_order_and_number_end_the_same(sender, post, queue, sessions):
    kinds = (
        *(EventKind.SEND, EventKind.BOUNCE, EventKind.DELIVERY),
        *(EventKind.COMPLAINT, EventKind.OPEN, EventKind.CLICK),
    )
    # Every order, each for a message of its own, each event three times.
    orders = list(permutations(kinds))
    at_once = campaign(caps={"first_mails": 1_000})
    enrolled(sessions, [f"acc-{n}" for n in range(len(orders))], at_once)
    deliver(sender)
    with sessions.begin() as session:
        messages = list(session.scalars(text("SELECT id FROM messages ORDER BY id")))
    rng = Random(7)
    for message, order in zip(messages, orders, strict=True):
        told = [
            provider_event(
                kind, message, bounce=Bounce.HARD if kind is EventKind.BOUNCE else None
            )
            for kind in order
        ]
        queue.put(*(received(event) for event in told + rng.sample(told, 6) + told))
    result = receive(post)

    assert result.kinds == dict.fromkeys(kinds, len(orders))
    assert result.repeated == 2 * 6 * len(orders)
    with sessions.begin() as session:
        ends = "SELECT DISTINCT state, delivery FROM messages"
        assert session.execute(text(ends)).all() == [("accepted", "complained")]
        assert sum(suppressions.counts(session).values()) == len(orders)
