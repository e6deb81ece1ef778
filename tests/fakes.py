"""Stand-ins with verbs, for what we own."""

from collections import deque
from contextlib import nullcontext
from datetime import datetime, timedelta

from campaigns.domain.values import Email, ReceivedEvent, SendingQuota
from campaigns.store.watermark import Watermark


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, start: str) -> None:
        self._now = datetime.fromisoformat(start)

    def __call__(self) -> datetime:
        return self._now

    def jump_to(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, **delta: float) -> datetime:
        self._now += timedelta(**delta)
        return self._now


class FakeSes:
    """Takes mails; can be told to fail, or to take a mail and lose the answer."""

    def __init__(self, clock) -> None:
        self.taken: list[Email] = []
        self.posts = 0
        self._errors: deque[Exception] = deque()
        self._before: deque = deque()
        self.allowed = SendingQuota(1000, 50_000, 0)
        self._clock = clock

    def fail_next(self, error: Exception) -> None:
        self._errors.append(error)

    def before_next(self, act) -> None:
        self._before.append(act)

    def send(self, email: Email) -> str:
        self.posts += 1
        if self._before:
            self._before.popleft()()
        if self._errors:
            raise self._errors.popleft()
        self.taken.append(email)
        return f"ses-{len(self.taken)}"

    def quota(self) -> SendingQuota:
        return self.allowed


class FakeQueue:
    """A queue that gives what was put in, ten at a time, until it is deleted."""

    def __init__(self) -> None:
        self._waiting: list[ReceivedEvent] = []
        self._given: set[str] = set()
        self.deleted: list[str] = []

    def put(self, *events: ReceivedEvent) -> None:
        self._waiting += events

    def receive(self) -> list[ReceivedEvent]:
        free = [e for e in self._waiting if e.receipt not in self._given][:10]
        self._given |= {event.receipt for event in free}
        return free

    def waiting(self) -> int:
        return len(self._waiting)

    def delete(self, events: list[ReceivedEvent]) -> None:
        gone = [event.receipt for event in events]
        self.deleted += gone
        self._waiting = [e for e in self._waiting if e.receipt not in gone]

    def time_passes(self) -> None:
        """Make undeleted events visible again."""
        self._given.clear()


class MarkInMemory(Watermark):
    """A mark outside the database that is no file."""

    def __init__(self):
        self._mark = None

    def read(self):
        return self._mark

    def _write(self, mark):
        self._mark = mark

    def _alone(self):
        return nullcontext()
