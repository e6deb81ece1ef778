"""Faults on request: what can go wrong between a sender, SES and the event queue.

Faults of sending are used up one request after the other; those of events hold until
they are lifted. Which event is hit is decided by a hash of its id, not by chance, so a
run can be repeated.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

_MOST_TIMES: Final = 1_000_000
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=14 * 86_400)]


class SendFault(StrEnum):
    """What can befall a request to send."""

    THROTTLE = "throttle"  # 429, nothing taken
    SERVER_ERROR = "server_error"  # 500, nothing taken
    UNAVAILABLE = "unavailable"  # 503, nothing taken
    DROP = "drop"  # the connection closes, nothing taken
    ERROR_AFTER_ACCEPT = "error_after_accept"  # 500, and it was taken
    TIME_OUT_AFTER_ACCEPT = "time_out_after_accept"  # taken, and never answered
    CUT_ANSWER = "cut_answer"  # taken, and half of the answer comes


BEFORE_ACCEPT: Final = frozenset(
    {
        SendFault.THROTTLE,
        SendFault.SERVER_ERROR,
        SendFault.UNAVAILABLE,
        SendFault.DROP,
    }
)


class Part(BaseModel):
    """What the parts of a request for faults share."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SendFaults(Part):
    """A fault for the next sends."""

    kind: SendFault
    times: Annotated[int, Field(ge=1, le=_MOST_TIMES)] = 1


class EventFaults(Part):
    """What befalls events on their way into the queue.

    Attributes:
        lost: The share that never comes.
        duplicated: The share that comes twice.
        delay_seconds: How much later all come.
        disorder_seconds: Up to how much later each comes, so that some overtake.
    """

    lost: Share = 0
    duplicated: Share = 0
    delay_seconds: Seconds = 0
    disorder_seconds: Seconds = 0


class FaultRequest(Part):
    """What is asked for; what is left out stays as it is."""

    sends: list[SendFaults] | None = None
    events: EventFaults | None = None
    paused: bool | None = None
    max_per_second: Annotated[float, Field(gt=0)] | None = None
    max_per_day: Annotated[float, Field(ge=-1)] | None = None


@dataclass(slots=True)
class Faults:
    """The faults in force.

    Attributes:
        sends: What befalls the next sends, in order.
        events: What befalls events.
    """

    sends: deque[SendFault] = field(default_factory=deque)
    events: EventFaults = field(default_factory=EventFaults)

    def next_of_sending(self) -> SendFault | None:
        """Return, and use up, what befalls this send."""
        return self.sends.popleft() if self.sends else None

    def plain(self) -> dict[str, Any]:
        """Return the faults as plain values."""
        return {"sends": list(self.sends), "events": self.events.model_dump()}


def disturbed(
    events: Iterable[tuple[datetime, str]], faults: EventFaults
) -> Iterator[tuple[datetime, str]]:
    """Yield events as they reach the queue: time and body of each."""
    for at, body in events:
        if _draw(body, "lost") < faults.lost:
            continue
        jitter = _draw(body, "disorder") * faults.disorder_seconds
        arrives = at + timedelta(seconds=faults.delay_seconds + jitter)
        yield arrives, body
        if _draw(body, "duplicated") < faults.duplicated:
            yield arrives + timedelta(seconds=1 + jitter), body


def _draw(body: str, purpose: str) -> float:
    """Return a number in [0, 1) that only the event and the purpose decide."""
    digest = sha256(f"{purpose}/{body}".encode()).digest()
    return int.from_bytes(digest[:8]) / 256**8
