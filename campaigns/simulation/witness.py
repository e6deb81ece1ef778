"""The witness: sees all that the engine does, and knows what it promised.

Each promise that was broken is told, with what was seen.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from email.utils import parseaddr
from typing import Final

from campaigns.domain.values import Email, ReceivedEvent
from campaigns.domain.words import Arm, CampaignState, MessageState, SkipReason
from campaigns.mail.local_ses.ses import LocalSes
from campaigns.rules.message_state import ENDINGS
from campaigns.simulation.small_world import CAMPAIGN, address_hash
from campaigns.store import campaigns, ledger
from campaigns.store.events import natural_key
from campaigns.store.ledger import Line, Noes
from campaigns.store.session import Sessions

_NO_NOES: Final = Noes(frozenset(), {}, frozenset())
_MAY_BE_OUT: Final = frozenset(
    {
        MessageState.ACCEPTED,
        MessageState.UNKNOWN,
        MessageState.HELD,
        MessageState.DROPPED,
    }
)


class Witness:
    """Sees one trial.

    Args:
        sessions: Its database, unwatched.
        ses: Its SES.
        version: Of what is committed; while it is the same there is nothing to see.

    Attributes:
        is_a_copy: Whether the database was put back to a state of before a post or no.
    """

    def __init__(
        self, sessions: Sessions, ses: LocalSes, version: Callable[[], int]
    ) -> None:
        self._sessions = sessions
        self._ses = ses
        self._version_now = version
        self._version = -1
        self._attempts = 0
        self._latest_posted = 0
        self._noes = _NO_NOES
        self._noes_at: dict[int, Noes] = {}
        self._attempts_of: defaultdict[int, list[int]] = defaultdict(list)
        self._posts_of: Counter[int] = Counter()
        self._unposted: Counter[int] = Counter()
        self._under_way: Counter[int] = Counter()
        self._posting = 0
        self._addresses: defaultdict[str, set[str]] = defaultdict(set)
        self._broken: list[str] = []
        self.is_a_copy = False
        self.look()

    @property
    def mails(self) -> int:
        """How many mails SES took for people."""
        return len(self._taken())

    def knows_of_start(self) -> None:
        """Know that a process starts: what another had under way died with it."""
        self._unposted.clear()
        self._under_way.clear()

    def knows_of_restoring(self) -> None:
        """Know that the database was put back to a copy; a no holds all the same."""
        # A running sender can't call back what it committed before, and posts now.
        self._under_way = Counter(self._unposted)
        self._version = -1  # the copy's may be the same as that of what it replaced
        with self._sessions.begin() as session:
            known = ledger.attempts_after(session, 0)
            noes = ledger.noes(session)
        latest = max((each.id for each in known), default=0)
        # An attempt that the process died over before it posted is nobody's loss.
        self.is_a_copy |= latest < self._latest_posted or noes != self._noes
        self._attempts = latest

    def knows_address(self, account: str, address: str) -> None:
        """Know that an account's person has an address, now or before."""
        self._addresses[account].add(address_hash(address))

    def look(self) -> None:
        """Look at what is committed: new attempts, and what forbade them before."""
        version = self._version_now()
        if version == self._version:
            return
        self._version = version
        with self._sessions.begin() as session:
            new = ledger.attempts_after(session, self._attempts)
            noes = ledger.noes(session)
        for attempt in new:
            self._attempts = attempt.id
            self._attempts_of[attempt.message].append(attempt.id)
            self._unposted[attempt.message] += 1
            self._noes_at[attempt.message] = self._noes
            if attempt.account in self._noes.returned:
                self._tell(f"message {attempt.message}: its account was back before")
        if not self.is_a_copy:
            self._noes = noes

    def sees_off(self, email: Email) -> None:
        """A mail is about to be posted."""
        message = int(email.tags.get("wb_message", "0"))
        self._posting = message
        if not message:
            return
        if self.is_a_copy and self._under_way[message] < 1:
            self._tell(f"message {message}: sent from a restored copy, unasked")
        noes = self._noes_at.get(message, _NO_NOES)
        address, now = address_hash(email.to), self._ses.clock()
        if address in noes.suppressed:
            self._tell(f"message {message}: goes to an address that had said no")
        if noes.resting.get(address, now) > now:
            self._tell(f"message {message}: goes to an address that is at rest")

    def sees_post(self) -> None:
        """A request to send goes over the wire."""
        message = self._posting
        if not message:
            return
        self._posts_of[message] += 1
        self._unposted[message] -= 1
        self._under_way[message] = 0
        attempts = self._attempts_of[message]
        self._latest_posted = max(self._latest_posted, *attempts, 0)
        if self._posts_of[message] > len(attempts):
            self._tell(f"message {message}: more POSTs than committed attempts")

    def sees_deleted(self, events: list[ReceivedEvent]) -> None:
        """Events are about to leave the queue."""
        with self._sessions.begin() as session:
            kept = ledger.kept_events(session)
        for each in events:
            if natural_key(each) not in kept:
                self._tell(f"event {each.envelope_id}: left the queue and is not kept")

    def is_out(self, message: int) -> bool:
        """Say whether SES took a message's mail: it alone knows."""
        return any(taken == message for taken, _ in self._taken())

    def endings(self) -> dict[str, int]:
        """Return the messages by state."""
        return dict(sorted(Counter(str(line.state) for line in self._lines()).items()))

    def broken_promises(self) -> list[str]:
        """Return what was broken, once all is over."""
        lines = self._lines()
        taken = self._taken()
        out = Counter(message for message, _ in taken)
        addresses = Counter(
            (address, line.step)
            for message, address in taken
            for line in lines
            if line.message == message
        )
        self._broken += [f"message {m}: {n} mails" for m, n in out.items() if n > 1]
        self._broken += [
            f"{address}: {n} mails of step {step}"
            for (address, step), n in addresses.items()
            if n > 1
        ]
        if not self.is_a_copy:  # which does not know all that was mailed
            for line in lines:
                self._judge(line, mails=out[line.message])
            self._judge_finish(lines)
        return self._broken

    def _judge(self, line: Line, *, mails: int) -> None:
        what = f"message {line.message}"
        if mails and line.arm != Arm.TREATED:
            self._tell(f"{what}: went to a held-out account")
        if mails and line.state not in _MAY_BE_OUT:
            self._tell(f"{what}: a mail is out, and its state is {line.state}")
        if line.state is MessageState.ACCEPTED and not mails:
            self._tell(f"{what}: accepted, and SES never took it")
        if line.state not in ENDINGS:
            self._tell(f"{what}: ends as {line.state}")
        if line.state is MessageState.SKIPPED and not self._was_forbidden(line):
            self._tell(f"{what}: skipped as {line.reason}, and nothing forbade it")

    def _was_forbidden(self, line: Line) -> bool:
        """Say whether the reason for which a message was skipped is true."""
        return {
            SkipReason.SUPPRESSED: bool(
                self._addresses[line.account] & self._noes.suppressed
            ),
            SkipReason.ALREADY_BACK: line.account in self._noes.returned,
            SkipReason.HELD_OUT: line.arm != Arm.TREATED,
            SkipReason.SEQUENCE_BROKEN: line.step > 1,
            SkipReason.WINDOW_CLOSED: True,
        }.get(SkipReason(line.reason or ""), False)

    def _judge_finish(self, lines: list[Line]) -> None:
        with self._sessions.begin() as session:
            state = campaigns.state_of(session, CAMPAIGN)
        is_done = all(line.state in ENDINGS for line in lines)
        if (state is CampaignState.FINISHED) != is_done:
            self._tell(f"the campaign is {state}; all its messages ended: {is_done}")

    def _lines(self) -> list[Line]:
        with self._sessions.begin() as session:
            return ledger.lines(session)

    def _taken(self) -> list[tuple[int, str]]:
        """Return message and address of each mail that SES took, canaries left out."""
        return [
            (int(mail["tags"]["wb_message"]), parseaddr(mail["recipient"])[1])
            for mail in self._ses.outbox.mails_after(0)
            if "wb_message" in mail["tags"]
        ]

    def _tell(self, what: str) -> None:
        if what not in self._broken:
            self._broken.append(what)
