"""SES's limits, tried with the real engine and the local SES in simulated time."""

import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from shutil import copyfile

from campaigns.clock import SimulatedClock
from campaigns.errors import ThrottledError
from campaigns.mail.local_ses.faults import FaultRequest, SendFault, SendFaults
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.protocol import Protocol
from campaigns.mail.local_ses.ses import Limits, LocalSes
from campaigns.mail.ses import SesSender
from campaigns.rules.pacing import Policy
from campaigns.simulation.small_world import START, SmallWorld, settle_in
from campaigns.simulation.trial import Bench
from campaigns.steps.deliver import deliver
from campaigns.steps.desk import Desk
from campaigns.store import ledger
from campaigns.store.session import make_sessions, open_engine


@dataclass
class Sent:
    """What became of a campaign under limits.

    Attributes:
        accepted: Mails that SES took.
        by_day: How many of them on each simulated day.
        posts: Requests to send.
        throttled: Those that were answered by 429.
        seconds: Simulated, from the first to the last.
    """

    accepted: int = 0
    posts: int = 0
    throttled: int = 0
    seconds: float = 0
    by_day: tuple[int, ...] = ()


def send_all(bench: Bench, *, mails: int, limits: Limits, burst_every: int = 0) -> Sent:
    """Send a campaign of `mails` accounts until all of it is accepted.

    Args:
        bench: What trials share.
        mails: How many accounts are written to, once each.
        limits: What SES allows.
        burst_every: After so many posts SES throttles five in a row; 0 for never.
    """
    accounts = tuple(f"acc-{n}" for n in range(mails))
    addresses = {each: f"p@{each}.example" for each in accounts}
    world = SmallWorld(accounts, addresses, 1, 0.0, {}, None, mails)
    clock, sent = SimulatedClock(START), Sent()
    with tempfile.TemporaryDirectory() as name:
        database = Path(name) / "limits.db"
        copyfile(bench.empty_database, database)
        engine = open_engine(f"sqlite:///{database}")
        sessions = make_sessions(engine)
        settle_in(world, sessions)
        outbox = Outbox(Path(name) / "mails")
        ses = LocalSes(outbox, clock, limits)
        bench.door.inside = Protocol(ses).answer
        sender = SesSender(
            bench.door.ses,
            from_address="Tidemark <hello@tidemark.example>",
            reply_to=None,
            configuration_set="winback",
        )

        def send(emails):
            sent.posts += 1
            if burst_every and sent.posts % burst_every == 0:
                burst = SendFaults(kind=SendFault.THROTTLE, times=5)
                ses.be_faulty(FaultRequest(sends=[burst]))
            try:
                return sender.send_all(emails)
            except ThrottledError:
                sent.throttled += 1
                raise

        desk = Desk(
            sessions=sessions,
            send=send,
            quota=sender.quota,
            composer=bench.composer,
            start=lambda act: act(),
            senders=8,
            clock=clock,
            sleep=lambda seconds: clock.jump_to(clock() + timedelta(seconds=seconds)),
            worker="limits",
            remember=lambda _attempt: None,
            default_time_zone="UTC",
            policy=Policy(),
            per_request=1,
            should_stop=lambda: False,
        )
        by_day: dict[int, int] = {}
        while sent.accepted < mails:
            result = deliver(desk)
            taken = result.endings["accepted"]
            sent.accepted += taken
            if taken:
                day = (clock() - START).days
                by_day[day] = by_day.get(day, 0) + taken
                sent.seconds = (clock() - START).total_seconds()
            later = clock() + timedelta(seconds=1)
            clock.jump_to(max(result.again_at or later, clock() + _TICK))
        with sessions.begin() as session:
            lines = ledger.lines(session)
        assert [line.state for line in lines] == ["accepted"] * mails
        bench.door.inside = None
        outbox.close()
        engine.dispose()
    return replace(sent, by_day=tuple(by_day.values()))


_TICK = timedelta(milliseconds=1)
throttled = partial(
    send_all, limits=Limits(max_per_second=14, max_per_day=-1), burst_every=1_000
)
limited = partial(send_all, limits=Limits(max_per_second=50, max_per_day=200))
