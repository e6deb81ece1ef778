"""Hours in which nobody takes events off the queue, and then all at once."""

import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import func, select

from benchmarks.places import place
from campaigns.mail.local_ses.faults import FaultRequest, SendFault, SendFaults
from campaigns.mail.local_ses.ses import Limits
from campaigns.mail.sqs import EventQueue
from campaigns.simulation.trial import Bench
from campaigns.steps.deliver import deliver
from campaigns.steps.receive import Post, receive
from campaigns.store.tables.delivery import MessageRow

AWAY = timedelta(hours=6)
EVENTS_PER_MAIL = 2
_CUT_EVERY = 50


class Backlog(NamedTuple):
    """What became of a backlog.

    Attributes:
        queued: Events that waited.
        in_doubt: Messages whose answer was lost, for all of that time.
        held: Those that were held before their event was read.
        taken: Events that were kept.
        states: Messages by state and delivery, afterwards.
        seconds: Real ones, to take all of it.
    """

    queued: int
    in_doubt: int
    held: int
    taken: int
    states: dict[tuple[str, str], int]
    seconds: float


def worked_off(bench: Bench, *, events: int) -> Backlog:
    """Send mails while their events wait for six hours; then take them all."""
    mails = events // EVENTS_PER_MAIL
    no_limit = Limits(max_per_second=1e6, max_per_day=-1)
    with place(bench, mails=mails, limits=no_limit) as here:
        posts = 0

        def send(emails):
            nonlocal posts
            posts += 1
            if posts % _CUT_EVERY == 0:
                cut = [SendFaults(kind=SendFault.CUT_ANSWER)]
                here.ses.be_faulty(FaultRequest(sends=cut))
            return here.sender.send_all(emails)

        desk = here.desk(send=send)
        while deliver(desk).again_at is not None:
            here.clock.jump_to(here.clock() + timedelta(seconds=1))
        before = _states(here.sessions)
        here.clock.jump_to(here.clock() + AWAY)
        queued = here.ses.outbox.queued(now=here.clock())
        queue = EventQueue(
            bench.door.sqs, queue_url="http://127.0.0.1:1/winback-events"
        )
        post = Post(
            here.sessions,
            partial(queue.receive, wait_seconds=0),
            queue.waiting,
            queue.delete,
            lambda email: here.sender.send_all([email])[0],
            here.clock,
        )
        began, taken, held = time.perf_counter(), 0, 0
        while True:
            result = receive(post)
            taken, held = taken + result.kinds.total(), held + result.held
            if not result.kinds:
                break
        seconds = time.perf_counter() - began
        return Backlog(
            queued,
            before["unknown", "none"],
            held,
            taken,
            dict(_states(here.sessions)),
            seconds,
        )


def _states(sessions) -> Counter:
    query = select(MessageRow.state, MessageRow.delivery, func.count()).group_by(
        MessageRow.state, MessageRow.delivery
    )
    with sessions.begin() as session:
        return Counter({row[:2]: row[2] for row in session.execute(query)})
