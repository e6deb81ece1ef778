"""What goes wrong in a trial: kills, faults of SES and its events, people's noes."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

from campaigns.clock import Clock
from campaigns.domain.records import Contact
from campaigns.domain.values import Recipient, Return
from campaigns.domain.words import (
    CampaignState,
    MessageState,
    ReturnKind,
    SuppressionReason,
)
from campaigns.mail.local_ses.faults import EventFaults, FaultRequest, SendFault
from campaigns.mail.local_ses.faults import SendFaults as Sends
from campaigns.mail.local_ses.ses import Limits, LocalSes
from campaigns.simulation.points import Killed
from campaigns.simulation.small_world import CAMPAIGN, SmallWorld, address_hash
from campaigns.simulation.witness import Witness
from campaigns.store import (
    campaigns,
    doubts,
    episodes,
    instance,
    ledger,
    records,
    suppressions,
)
from campaigns.store.session import Session, Sessions

_IN_A_TRANSACTION: Final = "before commit"
_MOST_KILLS: Final = 12
_RESUMED_SHARE: Final = 0.3  # of the looks at a campaign that paused
_RESTORES_SHARE: Final = 0.3  # of the worlds
_COPIED_SHARE: Final = 0.03  # of the commits in them
_SWAPPED_SHARE: Final = 0.01  # of the transactions in them, with the sender alive
_NO_LIMITS: Final = Limits(max_per_second=1_000, max_per_day=100_000)


class Mishaps:
    """What goes wrong, drawn from one generator: the same seed, the same mishaps.

    Attributes:
        senders: How many mails are posted at a time.
        points: How many points were passed.
        happened: What went wrong, counted.
    """

    def __init__(self, rng: Random, world: SmallWorld) -> None:
        self._rng = rng
        self._world = world
        self._kill_share = rng.choice((0, 0.005, 0.02, 0.05))
        self._act_share = rng.choice((0, 0.02, 0.1))
        self._fault_share = rng.choice((0, 0.01, 0.03))
        self._stall_share = rng.choice((0, 0, 0.01))
        self._restores = rng.random() < _RESTORES_SHARE
        self.senders = rng.choice((1, 2, 4))
        self.points = 0
        self.happened: Counter[str] = Counter()
        self._is_calm = False

    def limits(self) -> Limits:
        """Return what SES allows at first."""
        return Limits(
            max_per_second=self._rng.choice((1, 5, 50)),
            max_per_day=self._rng.choice((3, 20, 50_000)),
        )

    def time_until_restart(self) -> timedelta:
        """Return how long a dead process stays dead."""
        return timedelta(seconds=self._rng.choice((0, 1, 30, 1_200, 40_000)))

    def is_copied_now(self) -> bool:
        """Say whether somebody makes a copy of the database at this commit."""
        return self._restores and self._rng.random() < _COPIED_SHARE

    def is_restored_now(self, copy: Path) -> bool:
        """Say whether the process that died finds a copy in the database's place."""
        self.happened["a copy restored"] += copy.exists()
        return copy.exists()

    def is_swapped_now(self, copy: Path) -> bool:
        """Say whether a copy is put in the database's place under a running sender."""
        if not self._restores or self._is_calm or not copy.exists():
            return False
        is_swapped = self._rng.random() < _SWAPPED_SHARE
        self.happened["a copy restored under the sender"] += is_swapped
        return is_swapped

    def begin(
        self,
        sessions: Sessions,
        ses: LocalSes,
        clock: Clock,
        witness: Witness,
        send_beside: Callable[[], None],
    ) -> None:
        """Know the trial; what befalls events holds from here on."""
        self._sessions, self._ses, self._clock = sessions, ses, clock
        self._witness = witness
        self._send_beside = send_beside
        for account, address in self._world.addresses.items():
            witness.knows_address(account, address)
        events = EventFaults(
            lost=self._rng.choice((0, 0, 0.1)),
            duplicated=self._rng.choice((0, 0.3)),
            delay_seconds=self._rng.choice((0, 600, 20_000)),
            disorder_seconds=self._rng.choice((0, 900, 50_000)),
        )
        ses.be_faulty(FaultRequest(events=events))

    def at(self, point: str) -> None:
        """Let happen at a point what the generator draws.

        Raises:
            Killed: The process dies here.
        """
        self.points += 1
        if self._is_calm:
            return
        if point == "before receive" and self._rng.random() < _RESUMED_SHARE:
            self._resume()
        if point != _IN_A_TRANSACTION and self._rng.random() < self._act_share:
            self._act()
        if point != _IN_A_TRANSACTION and self._rng.random() < self._stall_share:
            self.happened["stood still"] += 1
            self._send_beside()
        if self._rng.random() < self._fault_share:
            self._disturb_ses()
        is_spared = self.happened["killed"] >= _MOST_KILLS
        if not is_spared and self._rng.random() < self._kill_share:
            raise Killed

    def calm_down(self) -> None:
        """Let nothing go wrong any more, and a person decide what waits for one."""
        if not self._is_calm:
            self._is_calm = True
            self._ses.be_faulty(
                FaultRequest(sends=[], events=EventFaults(), paused=False)
            )
            self._ses.limits = _NO_LIMITS
        self._resume()
        with self._sessions.begin() as session:
            for held in doubts.in_doubt(session):
                if held.state is MessageState.HELD:
                    self._decide(session, held.id)

    def _resume(self) -> None:
        """Resume the campaign if it paused, and not in a copy that knows too little."""
        if self.may_resume():
            with self._sessions.begin() as session:
                instance.accept(session)
                campaigns.resume(session, CAMPAIGN, now=self._clock())

    def may_resume(self) -> bool:
        """Say whether the campaign paused, and a person would let it go on."""
        with self._sessions.begin() as session:
            is_paused = campaigns.state_of(session, CAMPAIGN) is CampaignState.PAUSED
        return is_paused and not self._witness.is_a_copy

    def _decide(self, session: Session, message: int) -> None:
        """Decide as a person who looked into SES's own log would."""
        is_out = self._witness.is_out(message)
        to = MessageState.DROPPED if is_out else MessageState.PLANNED
        doubts.decide_held(session, message, to, now=self._clock())
        self.happened["decided by a person"] += 1

    def _act(self) -> None:
        """Let somebody else write to the database, in a transaction of their own."""
        name, act = self._rng.choice(
            (
                ("unsubscribed", self._unsubscribe),
                ("unsubscribed", self._unsubscribe),
                ("asked for a rest", self._rest),
                ("came back", self._come_back),
                ("address changed", self._change_address),
                ("address changed", self._change_address),
                ("paused", self._pause),
            )
        )
        with self._sessions.begin() as session:
            act(session)
        self.happened[name] += 1
        self._witness.look()

    def _unsubscribe(self, session: Session) -> None:
        address = self._rng.choice(sorted(self._world.addresses.values()))
        suppressions.suppress(
            session,
            address_hash(address),
            SuppressionReason.UNSUBSCRIBED,
            now=self._clock(),
        )

    def _rest(self, session: Session) -> None:
        message = self._rng.choice(ledger.lines(session)).message
        until = self._clock() + timedelta(days=self._rng.choice((1, 5, 20)))
        suppressions.snooze_recipient(session, Recipient(message), until=until)

    def _come_back(self, session: Session) -> None:
        gone = episodes.open_episodes(session)
        if gone:
            episode = self._rng.choice(gone)
            back = Return(episode.account, self._clock(), ReturnKind.PAID)
            episodes.record_returns(session, [(episode, back)])

    def _change_address(self, session: Session) -> None:
        account = self._rng.choice(self._world.accounts)
        address = self._rng.choice(
            (f"new{self._rng.randint(1, 9)}@{account}.example", "shared@firm.example")
        )
        self._world.addresses[account] = address
        self._witness.knows_address(account, address)
        person = Contact(
            id=f"{account}-p", account=account, email=address, first_name="Ada"
        )
        records.put(session, "contacts", [person], address_hash=address_hash)

    def _pause(self, session: Session) -> None:
        if campaigns.state_of(session, CAMPAIGN) is CampaignState.RUNNING:
            campaigns.pause(session, CAMPAIGN, now=self._clock())

    def _disturb_ses(self) -> None:
        kind = self._rng.choice((*SendFault, "pause", "resume", "quota"))
        self.happened[f"SES: {kind}"] += 1
        if kind == "quota":
            request = FaultRequest(max_per_day=self._rng.choice((1, 5, 100, 50_000)))
        elif kind in {"pause", "resume"}:
            request = FaultRequest(paused=kind == "pause")
        else:
            times = self._rng.choice((1, 1, 3))
            request = FaultRequest(sends=[Sends(kind=SendFault(kind), times=times)])
        self._ses.be_faulty(request)
