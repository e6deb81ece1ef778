"""What the ledger says of messages, beside what SES took."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple


class Books(NamedTuple):
    """What a comparison shows.

    Attributes:
        states: Messages by state.
        twice: Messages that were posted more than once.
        lost: Messages that are said to be out and are not, or the reverse.
        idle: Messages in doubt that were never posted: a person decides on each.
    """

    states: dict[str, int]
    twice: list[int]
    lost: list[int]
    idle: list[int]

    @property
    def are_exact(self) -> bool:
        """Whether nobody was mailed twice and nobody lost."""
        return not self.twice and not self.lost

    @property
    def told(self) -> str:
        """All of it in a line."""
        ends = (f"{count:,} {state}" for state, count in sorted(self.states.items()))
        return (
            f"{len(self.twice)} twice, {len(self.lost)} lost: {', '.join(ends)}"
            f" ({len(self.idle)} of them not posted)"
        )


def compared(states: Mapping[int, str], posted: Counter[int]) -> Books:
    """Compare the state of each message with how often it was posted."""
    return Books(
        dict(Counter(states.values())),
        [message for message, times in posted.items() if times > 1],
        [each for each, state in states.items() if _is_lost(state, posted[each])],
        [each for each, s in states.items() if s == "unknown" and not posted[each]],
    )


def added(books: list[Books]) -> Books:
    """Return what several comparisons show together."""
    return Books(
        dict(sum((Counter(each.states) for each in books), Counter())),
        [message for each in books for message in each.twice],
        [message for each in books for message in each.lost],
        [message for each in books for message in each.idle],
    )


def _is_lost(state: str, posted: int) -> bool:
    """Say whether the ledger claims what is not so; to be in doubt is no claim."""
    return state not in {"accepted", "unknown"} if posted else state == "accepted"
