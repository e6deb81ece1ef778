"""SES's limits, tried with the real engine and the local SES in simulated time."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from benchmarks.places import place
from campaigns.errors import ThrottledError
from campaigns.mail.local_ses.faults import FaultRequest, SendFault, SendFaults
from campaigns.mail.local_ses.ses import Limits
from campaigns.simulation.small_world import START
from campaigns.simulation.trial import Bench
from campaigns.steps.deliver import deliver
from campaigns.store import ledger


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
    sent = Sent()
    with place(bench, mails=mails, limits=limits) as here:
        clock, ses = here.clock, here.ses

        def send(emails):
            sent.posts += 1
            if burst_every and sent.posts % burst_every == 0:
                burst = SendFaults(kind=SendFault.THROTTLE, times=5)
                ses.be_faulty(FaultRequest(sends=[burst]))
            try:
                return here.sender.send_all(emails)
            except ThrottledError:
                sent.throttled += 1
                raise

        desk = here.desk(send=send)
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
        with here.sessions.begin() as session:
            lines = ledger.lines(session)
        assert [line.state for line in lines] == ["accepted"] * mails
    return replace(sent, by_day=tuple(by_day.values()))


_TICK = timedelta(milliseconds=1)
throttled = partial(
    send_all, limits=Limits(max_per_second=14, max_per_day=-1), burst_every=1_000
)
limited = partial(send_all, limits=Limits(max_per_second=50, max_per_day=200))
