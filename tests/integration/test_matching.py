"""Which mail an event is of: by its tags, and by SES's number where it has none."""

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import text

from campaigns.domain.words import Bounce, EventKind
from campaigns.mail.sqs import EventQueue
from campaigns.steps.deliver import deliver
from campaigns.steps.receive import receive
from campaigns.store import suppressions
from tests.factories import address_hash, enrolled, provider_event, received

_BOTH = ["acc-1", "acc-2"]


def _numbers_of_ses(sessions):
    query = text("SELECT ses_message_id FROM messages ORDER BY id")
    with sessions.begin() as session:
        return list(session.scalars(query))


def _bounced(ses_message_id, **changes):
    values = {"tags": {}, "bounce": Bounce.HARD, "ses_message_id": ses_message_id}
    return received(provider_event(EventKind.BOUNCE, **(values | changes)))


def _suppressed(sessions):
    with sessions.begin() as session:
        return set(session.scalars(text("SELECT address_hash FROM suppressions")))


def test_feedback_without_tags_is_of_the_mail_that_ses_numbered_so(
    sender, post, queue, sessions, clock
):
    enrolled(sessions, _BOTH)
    deliver(sender)
    _, second = _numbers_of_ses(sessions)
    queue.put(_bounced(second, at=clock(), mail_at=clock()))

    receive(post)

    assert _suppressed(sessions) == {address_hash("p1@acc-2.example.com")}


@pytest.mark.parametrize(("number", "days"), [("of-another", 0), (None, 1)])
def test_feedback_of_others_mails_harms_nobody(
    sender, post, queue, sessions, clock, number, days
):
    """Also if a mail of another day had our number, which SES never gives again."""
    enrolled(sessions)
    deliver(sender)
    (ours,) = _numbers_of_ses(sessions)
    mail_at = clock() - timedelta(days=days)
    queue.put(_bounced(number or ours, at=clock(), mail_at=mail_at))

    assert receive(post).kinds == {"Bounce": 1}
    assert _suppressed(sessions) == set()


def test_what_could_not_be_matched_counts_when_it_comes_again(
    sender, post, queue, sessions, clock
):
    """It came before the answer to its mail was kept; then with tags, and without."""
    enrolled(sessions, _BOTH)
    times = {"at": clock(), "mail_at": clock()}
    for ses_id in ("ses-1", "ses-2", "of-another"):
        queue.put(_bounced(ses_id, **times))
    receive(post)
    assert _suppressed(sessions) == set()

    deliver(sender)
    first, second = _numbers_of_ses(sessions)
    tags = {"wb_instance": "test", "wb_message": "2"}
    queue.put(_bounced(first, **times), _bounced(second, **times, tags=tags))
    queue.put(_bounced("of-another", **times))
    result = receive(post)

    assert (result.kinds, result.repeated) == ({"Bounce": 2}, 1)
    with sessions.begin() as session:
        assert suppressions.counts(session) == {"hard_bounce": 2}


def test_a_queue_may_hold_events_as_they_are():
    """As with RawMessageDelivery, which leaves SNS's envelope out."""
    event = {
        "eventType": "Delivery",
        "mail": {
            "timestamp": "2026-01-05T12:00:00Z",
            "messageId": "ses-1",
            "destination": ["p1@acc-1.example.com"],
            "tags": {"wb_instance": ["test"], "wb_message": ["1"]},
        },
        "delivery": {"timestamp": "2026-01-05T12:00:01Z"},
    }

    class Queue:
        def receive_message(self, **_asked):
            body = orjson.dumps(event).decode()
            message = {"MessageId": "q7", "ReceiptHandle": "r7", "Body": body}
            return {"Messages": [message]}

    (got,) = EventQueue(Queue(), queue_url="http://queue").receive(wait_seconds=0)

    assert (got.receipt, got.envelope_id) == ("r7", "raw-q7")
    assert got.event.kind is EventKind.DELIVERY
    assert got.event.tags == {"wb_instance": "test", "wb_message": "1"}
