"""When a segment is unsure.

A wrong "your connector failed" costs more than a general mail, so a segment is only
used when the classifier clearly prefers it.
"""

from collections.abc import Mapping
from typing import Final

from campaigns.domain.campaign import GENERAL

LEAST_PROBABILITY: Final = 0.5
LEAST_MARGIN: Final = 0.15


def segment_or_general(
    probabilities: Mapping[str, float],
    *,
    least_probability: float = LEAST_PROBABILITY,
    least_margin: float = LEAST_MARGIN,
) -> str:
    """Return the segment that is clearly likeliest, or `general` if none is.

    Args:
        probabilities: The calibrated probability of each segment; they sum to 1.
        least_probability: What the likeliest needs at least.
        least_margin: How far ahead of the second it must be.

    >>> segment_or_general({"slow-fade": 0.8, "champion-left": 0.2})
    'slow-fade'
    >>> segment_or_general({"slow-fade": 0.55, "champion-left": 0.45})
    'general'
    """
    ranked = sorted(probabilities, key=lambda name: (-probabilities[name], name))
    if not ranked or probabilities[ranked[0]] < least_probability:
        return GENERAL
    second = probabilities[ranked[1]] if len(ranked) > 1 else 0.0
    is_clear = probabilities[ranked[0]] - second >= least_margin
    return ranked[0] if is_clear else GENERAL
