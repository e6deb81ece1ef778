"""Rollout: a few mails first, and more as it becomes known what became of those.

There are no stages to wait in: each mail whose fate SES's events tell lets some more go
out. So a campaign starts slowly, grows as fast as events come, stands still where none
come, and its guard-rails see each mistake while it is small.
"""

from typing import Final

_PER_KNOWN: Final = 4
_ENOUGH: Final = 1_000


def may_post(known: int, *, first: int) -> int | None:
    """Return how many mails a campaign may have posted; None for as many as it has.

    Args:
        known: Mails of it whose fate is known: delivered, bounced, complained about.
        first: How many may go out before anything is known.

    >>> may_post(0, first=50), may_post(40, first=50), may_post(1_000, first=50)
    (50, 210, None)
    """
    return None if known >= _ENOUGH else first + _PER_KNOWN * known
