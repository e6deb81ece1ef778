"""A campaign, the engine and a local SES in one process, in simulated time."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from benchmarks.desks import desk
from campaigns.clock import SimulatedClock
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.protocol import Protocol
from campaigns.mail.local_ses.ses import Limits, LocalSes
from campaigns.mail.ses import SesSender
from campaigns.simulation.small_world import START, SmallWorld, settle_in
from campaigns.simulation.trial import Bench
from campaigns.steps.desk import Desk
from campaigns.store.session import Sessions, make_sessions, open_engine


class Place(NamedTuple):
    """What is in one place.

    Attributes:
        sessions: The ledger's database.
        clock: The simulated time.
        ses: The local SES.
        sender: Reaches it.
        desk: Makes a desk for a sender.
    """

    sessions: Sessions
    clock: SimulatedClock
    ses: LocalSes
    sender: SesSender
    desk: Callable[..., Desk]


@contextmanager
def place(bench: Bench, *, mails: int, limits: Limits) -> Iterator[Place]:
    """Yield a place where one mail is due to each of so many accounts."""
    accounts = tuple(f"acc-{n}" for n in range(mails))
    addresses = {each: f"p@{each}.example" for each in accounts}
    world = SmallWorld(accounts, addresses, 1, 0.0, {}, None, mails)
    clock = SimulatedClock(START)
    with tempfile.TemporaryDirectory() as name:
        database = Path(name) / "place.db"
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

        def sit_down(**changes: object) -> Desk:
            settings = {
                "composer": bench.composer,
                "senders": 8,
                "clock": clock,
                "sleep": lambda wait: clock.jump_to(clock() + timedelta(seconds=wait)),
                "worker": "sender",
            }
            return desk(sessions, sender, **(settings | changes))

        yield Place(sessions, clock, ses, sender, sit_down)
        bench.door.inside = None
        outbox.close()
        engine.dispose()
