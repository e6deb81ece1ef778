"""What a sender works with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from campaigns.clock import Clock
from campaigns.domain.values import Email, SendingQuota
from campaigns.errors import SendError
from campaigns.rules.pacing import Policy
from campaigns.steps.compose import Composer
from campaigns.steps.copies import CopyGuard
from campaigns.store.session import Sessions


@dataclass(slots=True)
class Desk:
    """What a sender works with.

    Attributes:
        sessions: The database.
        send: Posts mails by one request; returns SES's id or a SendError for each.
        per_request: How many mails a request may hold.
        quota: Asks SES what it allows.
        composer: Makes mails.
        start: Starts to post: at once in simulation, in a thread otherwise.
        senders: How many requests are under way at the same time.
        clock: The time.
        sleep: Waits so many seconds.
        worker: This process's name, for leases; no other ever has it.
        guard: Is told the latest attempt before it is posted, and tells a restored copy
            from the original.
        default_time_zone: For contacts and accounts without one.
        policy: What is left to others.
        should_stop: Says whether to claim nothing more.
        alone: Messages that are posted by requests of their own.
    """

    sessions: Sessions
    send: Callable[[Sequence[Email]], Sequence[str | SendError]]
    quota: Callable[[], SendingQuota]
    composer: Composer
    start: Callable[[Callable[[], None]], object]
    senders: int
    clock: Clock
    sleep: Callable[[float], None]
    worker: str
    guard: CopyGuard
    default_time_zone: str
    policy: Policy
    per_request: int
    should_stop: Callable[[], bool]
    alone: set[int] = field(default_factory=set)
