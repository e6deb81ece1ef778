"""A trial: one world, one seed, one campaign from its launch to its last ending."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from campaigns.clock import Clock, SimulatedClock
from campaigns.domain.values import Email, ReceivedEvent
from campaigns.errors import SendError
from campaigns.mail.local_ses.operations import Call, is_sending
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.protocol import Answer, Protocol
from campaigns.mail.local_ses.ses import LocalSes
from campaigns.mail.ses import SesSender
from campaigns.mail.sqs import EventQueue
from campaigns.rules.message_state import SETTLED_WINDOW
from campaigns.rules.pacing import Policy
from campaigns.simulation.mishaps import Mishaps
from campaigns.simulation.points import Killed, watched
from campaigns.simulation.small_world import START, SmallWorld, settle_in
from campaigns.simulation.witness import Witness
from campaigns.steps import deliver, receive, restart
from campaigns.steps.compose import Composer
from campaigns.steps.copies import CopyGuard
from campaigns.steps.desk import Desk
from campaigns.store import doubts
from campaigns.store.session import (
    Engine,
    WatchedSessions,
    make_sessions,
    open_engine,
)
from campaigns.store.watermark import Watermark

_CALM_AFTER: Final = timedelta(days=8)
_ENDS_AFTER: Final = timedelta(days=40)
_LOOKS_EVERY: Final = timedelta(hours=12)
_STALL: Final = timedelta(minutes=11)
_LEAST_PAUSE: Final = timedelta(minutes=10)
_MOST_LOOKS: Final = 20_000
_SENDER: Final = "Tidemark <hello@tidemark.example>"
_CONFIGURATION_SET: Final = "winback"


class Door:
    """The way into the local SES: boto3's clients are made once, for all trials."""

    def __init__(self, make_clients: Callable[["Door"], tuple[Any, Any]]) -> None:
        self.inside: Callable[[Call], Answer] | None = None
        self.ses, self.sqs = make_clients(self)

    def answer(self, call: Call) -> Answer:
        """Answer as the SES of the trial that goes on."""
        if self.inside is None:
            raise AssertionError("no trial goes on")
        return self.inside(call)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials share, because it takes long to make.

    Attributes:
        door: The way to SES.
        composer: Makes mails.
        empty_database: A migrated SQLite file, to be copied.
    """

    door: Door
    composer: Composer
    empty_database: Path


@dataclass(slots=True)
class Outcome:
    """What became of a trial.

    Attributes:
        seed: By which it is replayed.
        endings: Its messages by state.
        mails: How many SES took for people.
        points: How many points were passed.
        mishaps: What went wrong, counted.
        broken: The promises that were broken, each with what was seen.
    """

    seed: int
    endings: dict[str, int]
    mails: int
    points: int
    mishaps: dict[str, int]
    broken: list[str]


class _RestlessError(Exception):
    """A sender looks at its clock again and again, and lets no time pass."""


class _Patience:
    """A clock that is looked at so often, and no oftener, before time has to pass."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_at = clock()
        self._looks = 0

    def __call__(self) -> datetime:
        now = self._clock()
        if now != self._seen_at:
            self._seen_at, self._looks = now, 0
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            raise _RestlessError(f"{now:%Y-%m-%d %H:%M:%S}: the sender never rests")
        return now


@dataclass(slots=True)
class Trial:
    """A world and a sender in it, which may die and start again."""

    world: SmallWorld
    mishaps: Mishaps
    folder: Path
    bench: Bench
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(START))
    _restless: list[str] = field(default_factory=list)
    _idle_wakes: int = 0
    _lives: int = 0

    def run(self, seed: int) -> Outcome:
        """Let the world run its course, and say which promises were broken."""
        shutil.copyfile(self.bench.empty_database, self._database)
        engine = open_engine(f"sqlite:///{self._database}")
        plain = make_sessions(engine, self._watermark)
        outbox = Outbox(self.folder / "mails")
        try:
            settle_in(self.world, plain)
            ses = LocalSes(
                outbox, self.clock, self.mishaps.limits(), self.world.behaviours
            )
            witness = Witness(plain, ses, partial(_changes, self._database))
            beside = partial(self._send_beside, engine, witness)
            self.mishaps.begin(plain, ses, self.clock, witness, beside)
            self.bench.door.inside = partial(_answer, Protocol(ses), witness)
            sessions = WatchedSessions(engine, self._watch(witness), self._watermark)
            while not self._is_over():
                self._live(sessions, ses, witness)
                engine.dispose()  # or it would go on in the file that is replaced
                if not self._is_over() and self.mishaps.is_restored_now(self._copy):
                    self._restore(witness)
            return Outcome(
                seed,
                witness.endings(),
                witness.mails,
                self.mishaps.points,
                dict(self.mishaps.happened),
                [*self._restless, *witness.broken_promises()],
            )
        finally:
            self.bench.door.inside = None
            outbox.close()
            engine.dispose()

    def _restore(self, witness: Witness) -> None:
        shutil.move(self._copy, self._database)
        witness.knows_of_restoring()

    @property
    def _database(self) -> Path:
        return self.folder / "trial.db"

    @property
    def _watermark(self) -> Watermark:
        return Watermark(self.folder / "mark.json")

    @property
    def _copy(self) -> Path:
        return self.folder / "copy.db"

    def _watch(self, witness: Witness) -> Callable[[str], None]:
        def watch(point: str) -> None:
            if point == "after commit":
                witness.look()
                # An old copy is the worse one to be put back to.
                if not self._copy.exists() and self.mishaps.is_copied_now():
                    shutil.copyfile(self._database, self._copy)
            if point == "before begin" and self.mishaps.is_swapped_now(self._copy):
                self._restore(witness)
            self.mishaps.at(point)

        return watch

    def _live(self, sessions: WatchedSessions, ses: LocalSes, witness: Witness) -> None:
        """Live from the start of a process to its end, or to the end of all."""
        self._lives += 1
        witness.knows_of_start()
        desk, post = self._process(sessions, self._watch(witness), witness)
        try:
            restart.restart(sessions, desk.guard, worker=desk.worker, now=self.clock())
            while not self._is_over():
                self._wake(desk, post, ses)
        except Killed:
            self.mishaps.happened["killed"] += 1
            self.clock.jump_to(self.clock() + self.mishaps.time_until_restart())
        except _RestlessError as error:
            self._restless.append(str(error))
            self.clock.jump_to(START + _ENDS_AFTER)

    def _process(
        self, sessions: WatchedSessions, watch: Callable[[str], None], witness: Witness
    ) -> tuple[Desk, receive.Post]:
        desk = self._desk(sessions, watch, witness, worker=f"sender-{self._lives}")
        queue = EventQueue(self.bench.door.sqs, queue_url=f"{_NO_HOST}/winback-events")

        def delete(events: list[ReceivedEvent]) -> None:
            witness.sees_deleted(events)
            queue.delete(events)

        received = receive.Post(
            sessions,
            watched(partial(queue.receive, wait_seconds=0), "receive", watch),
            queue.waiting,
            watched(delete, "delete", watch),
            lambda email: _the_one(desk.send([email])),
            self.clock,
        )
        return desk, received

    def _desk(
        self,
        sessions: WatchedSessions,
        watch: Callable[[str], None],
        witness: Witness,
        *,
        worker: str,
    ) -> Desk:
        sender = SesSender(
            self.bench.door.ses,
            from_address=_SENDER,
            reply_to=None,
            configuration_set=_CONFIGURATION_SET,
        )

        def send(email: Email) -> str:
            witness.sees_off(email)
            return sender.send(email)

        post = watched(send, "post", watch)
        return Desk(
            sessions=sessions,
            send=lambda emails: [post(email) for email in emails],
            per_request=1,
            quota=sender.quota,
            composer=self.bench.composer,
            start=lambda act: act(),
            senders=self.mishaps.senders,
            clock=_Patience(self.clock),
            sleep=lambda seconds: self.clock.jump_to(
                self.clock() + timedelta(seconds=seconds)
            ),
            worker=worker,
            guard=CopyGuard(sessions, self._watermark),
            default_time_zone="UTC",
            policy=Policy(),
            should_stop=lambda: False,
        )

    def _send_beside(self, engine: Engine, witness: Witness) -> None:
        """Let another sender work while this one stands still, longer than a lease."""

        def watch(point: str) -> None:
            if point == "after commit":
                witness.look()

        self.clock.jump_to(self.clock() + _STALL)
        self._lives += 1
        sessions = WatchedSessions(engine, watch, self._watermark)
        desk = self._desk(sessions, watch, witness, worker=f"beside-{self._lives}")
        desk.guard.ask(now=self.clock())
        deliver.deliver(desk)

    def _is_over(self) -> bool:
        return self.clock() >= START + _ENDS_AFTER

    def _wake(self, desk: Desk, post: receive.Post, ses: LocalSes) -> None:
        """Do what is due now, then let time pass to when something is due again."""
        now = self.clock()
        if now >= START + _CALM_AFTER:
            self.mishaps.calm_down()
        desk.guard.beat(now=now)
        delivered = deliver.deliver(desk)
        received = receive.receive(post)
        deliver.finish(desk)
        did_something = delivered.endings or received.kinds or received.held
        self._idle_wakes = 0 if did_something else self._idle_wakes + 1
        moments = [
            delivered.again_at or deliver.next_due_at(desk),
            ses.outbox.next_event_at(),
            *(at + SETTLED_WINDOW for at in self._unknown_since(desk)),
        ]
        is_calm = now >= START + _CALM_AFTER
        is_at_rest = not any(moments) and not received.held
        if is_calm and is_at_rest and not self.mishaps.may_resume():
            self.clock.jump_to(START + _ENDS_AFTER)
            return
        later = [moment for moment in moments if moment and moment > now]
        # Where nothing happens it is looked at less and less often.
        pause = min(_LEAST_PAUSE * 2 ** min(self._idle_wakes, 9), _LOOKS_EVERY)
        next_look = min(later, default=now + _LOOKS_EVERY)
        self.clock.jump_to(max(now + pause, min(next_look, now + _LOOKS_EVERY)))

    def _unknown_since(self, desk: Desk) -> list[datetime]:
        with desk.sessions.begin() as session:
            return [posted_at for _, posted_at in doubts.unknown(session)]


def _changes(database: Path) -> int:
    """Return how often an SQLite file was changed: bytes 24 to 27 of its format."""
    with database.open("rb") as file:
        return int.from_bytes(file.read(28)[24:], "big")


_NO_HOST: Final = "http://127.0.0.1:1"


def _the_one(answers: Sequence[str | SendError]) -> str:
    (answer,) = answers
    if isinstance(answer, SendError):
        raise answer
    return answer


def _answer(protocol: Protocol, witness: Witness, call: Call) -> Answer:
    if is_sending(call):
        witness.sees_post()
    return protocol.answer(call)
