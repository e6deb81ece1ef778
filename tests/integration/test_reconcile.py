"""Our totals tie to SES's per day: the difference is 0, or it is listed."""

from functools import partial

import pytest
from botocore.exceptions import EndpointConnectionError
from sqlalchemy import text

from campaigns.domain.words import Mismatch, SesTotal
from campaigns.errors import RetryLaterError
from campaigns.mail.local_ses.faults import FaultRequest
from campaigns.mail.ses import SesSender
from campaigns.mail.ses_account import SesAccount
from campaigns.mail.sqs import EventQueue
from campaigns.steps import deliver, receive
from campaigns.steps.canary import email as canary_email
from campaigns.steps.reconcile import reconcile
from campaigns.store import totals
from tests.factories import NOON, desk, enrolled

BEHAVIOURS = (
    *("receive", "hard_bounce", "soft_bounce"),
    *("complaint", "receive", "on_suppression_list"),
)
SET = "winback"


class Bench:
    """The engine and a local SES without a socket."""

    def __init__(self, sessions, clock, local, make_client):
        self.sessions, self.clock, self.local = sessions, clock, local
        self.client, sqs = make_client("sesv2"), make_client("sqs")
        self.sender = SesSender(
            self.client,
            from_address="a@b.example",
            reply_to=None,
            configuration_set=SET,
        )
        url = sqs.get_queue_url(QueueName="winback-events")["QueueUrl"]
        self.queue = EventQueue(sqs, queue_url=url)

    def send(self):
        changes = {"send": self.sender.send_all}
        deliver.deliver(desk(self.sessions, self.sender, self.clock, **changes))

    def receive(self):
        self.clock.advance(hours=3)
        get = partial(self.queue.receive, wait_seconds=0)
        receive.receive(
            receive.Post(
                self.sessions,
                get,
                self.queue.waiting,
                self.queue.delete,
                self.sender.send,
                self.clock,
            )
        )

    def reconcile(self, days=3):
        ask = partial(SesAccount(self.client).totals, configuration_set=SET)
        return reconcile(self.sessions, ask, days=days, now=self.clock())


@pytest.fixture
def bench(sessions, clock, in_process):
    """Six mails are due, to mailboxes that behave differently."""
    enrolled(sessions, [f"acc-{n}" for n in range(6)])
    made = Bench(sessions, clock, *in_process)
    with sessions.begin() as session:
        emails = session.scalars(text("SELECT email FROM contacts ORDER BY id")).all()
    made.local.behaviours = dict(zip(emails, BEHAVIOURS, strict=True))
    return made


def by_total(found):
    return {each.total: (each.by_ses, each.by_us) for each in found.totals}


def test_each_kind_adds_up_day_by_day(bench, clock):
    bench.send()
    # A canary, and a mail that somebody else sends through our configuration set.
    bench.sender.send(canary_email("test"))
    bench.receive()
    clock.advance(days=1)

    found = bench.reconcile()

    assert by_total(found) == {
        SesTotal.SEND: (6, 6),
        SesTotal.DELIVERY: (3, 3),
        SesTotal.PERMANENT_BOUNCE: (1, 1),
        SesTotal.TRANSIENT_BOUNCE: (1, 1),
        SesTotal.COMPLAINT: (1, 1),
    }
    assert {each.day for each in found.totals} == {NOON.date()}
    assert found.agrees


def test_the_day_that_has_not_ended_and_days_before_are_left_out(bench, clock):
    bench.send()
    bench.receive()
    assert not bench.reconcile().totals

    clock.advance(hours=14)  # five in the morning
    assert not bench.reconcile().totals, "its last events may still be on their way"
    clock.advance(hours=1)
    assert bench.reconcile().totals

    clock.advance(days=1)
    assert not bench.reconcile(days=1).totals
    assert bench.reconcile(days=2).totals


def test_events_that_were_lost_are_a_difference_and_their_messages_listed(bench, clock):
    bench.local.be_faulty(FaultRequest.model_validate({"events": {"lost": 1.0}}))
    bench.send()
    bench.receive()
    clock.advance(days=1)

    found = bench.reconcile()

    assert by_total(found)[SesTotal.SEND] == (6, 0)
    assert not found.agrees
    told = {each.message: each.mismatch for each in found.mismatched}
    assert told == dict.fromkeys(range(1, 7), Mismatch.NO_SEND_EVENT)


@pytest.mark.parametrize(
    ("change", "mismatch"),
    [
        ("UPDATE messages SET state = 'unknown' WHERE id = 2", Mismatch.NOT_ACCEPTED),
        (
            "UPDATE messages SET state = 'skipped', reason = 'suppressed' WHERE id = 2",
            Mismatch.NOT_ACCEPTED,
        ),
        (
            "UPDATE messages SET state = 'planned', posted_at = NULL WHERE id = 2",
            Mismatch.NOT_ACCEPTED,
        ),
        (
            "INSERT INTO events (envelope_id, natural_key, kind, message, at,"
            " received_at, is_machine, raw) SELECT 'again', 'again', kind, message, at,"
            " received_at, is_machine, raw FROM events WHERE message = 2"
            " AND kind = 'Send'",
            Mismatch.TAKEN_AGAIN,
        ),
        ("DELETE FROM events WHERE message = 2", Mismatch.NO_SEND_EVENT),
    ],
    ids=["unknown again", "skipped", "never posted", "taken twice", "no event"],
)
def test_a_message_that_does_not_add_up_is_listed(
    bench, clock, sessions, change, mismatch
):
    bench.send()
    bench.receive()
    clock.advance(days=1)
    assert bench.reconcile().agrees

    with sessions.begin() as session:
        session.execute(text(change))
    found = bench.reconcile()

    assert [(each.message, each.mismatch) for each in found.mismatched] == [
        (2, mismatch)
    ]
    assert not found.agrees


def test_a_message_in_doubt_is_listed(bench, clock, sessions):
    bench.send()
    clock.advance(days=1)
    with sessions.begin() as session:
        session.execute(text("UPDATE messages SET state = 'held' WHERE id = 2"))
        told = totals.mismatched(session, start=NOON.date(), end=clock().date())

    assert [each.mismatch for each in told if each.message == 2] == [Mismatch.IN_DOUBT]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("AccessDeniedException", "allow the sender's role ses:BatchGetMetricData"),
        ("BadRequestException", "need Virtual Deliverability Manager"),
        (None, "SES did not answer BatchGetMetricData"),
        ("ACCESS_DENIED", "allow the sender's role ses:BatchGetMetricData"),
    ],
)
def test_a_refusal_says_what_to_do(bench, answer, told):
    def fail(**_):
        if answer is None:
            raise EndpointConnectionError(endpoint_url="")
        if answer == "ACCESS_DENIED":
            error = {"Id": "SEND", "Code": answer, "Message": ""}
            return _Ok, {"Results": [], "Errors": [error]}
        errors = bench.client.exceptions
        raise errors.from_code(answer)({"Error": {"Code": answer}}, "Get")

    bench.client.meta.events.register_first("before-call.sesv2", fail)

    with pytest.raises(RetryLaterError, match=told):
        bench.reconcile()


class _Ok:
    status_code = 200


def test_what_was_received_is_waiting_until_it_is_deleted(bench):
    bench.send()
    bench.clock.advance(hours=3)
    waiting = bench.queue.waiting()
    assert waiting > 6

    taken = bench.queue.receive(wait_seconds=0)
    assert bench.queue.waiting() == waiting
    bench.queue.delete(taken)
    assert bench.queue.waiting() == waiting - len(taken)
