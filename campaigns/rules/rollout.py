"""Rollout: a few mails first, and more as it becomes known what became of those.

There are no stages to wait in: each mail whose fate SES's events tell lets some more go
out. So a campaign starts slowly, grows as fast as events come, stands still where none
come, and its guard-rails see each mistake while it is small.
"""

from typing import Final

_ENOUGH: Final = 1_100
_AHEAD: Final = 25
_CAUTIOUS_UP_TO: Final = 175
_FURTHER_AHEAD: Final = 75
"""Of a tenth that bounces the guard-rails know by 175 mails, of a twentieth by 1,100:
then 200, or 1,200, may be out at most, however late events come."""


def may_post(known: int, *, first: int) -> int | None:
    """Return how many mails a campaign may have posted; None for as many as it has.

    Args:
        known: Mails of it whose fate is known: delivered, bounced, complained about.
        first: How many may go out before anything is known.

    >>> [may_post(known, first=50) for known in (0, 40, 175, 500, 1_100)]
    [50, 65, 200, 600, None]
    """
    if known >= _ENOUGH:
        return None
    further = min(max(known - _CAUTIOUS_UP_TO, 0), _FURTHER_AHEAD)
    return max(first, known + min(first, _AHEAD) + further)
