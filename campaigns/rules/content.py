"""What a mail may mention."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from campaigns.domain.values import ReleaseNote

_MOST: Final = 3


def since_you_left(
    releases: Sequence[ReleaseNote],
    *,
    left_at: datetime,
    features: Collection[str],
    failed: str | None = None,
    now: datetime,
) -> list[ReleaseNote]:
    """Return the releases after `left_at` that touch what the account worked with.

    What touches the feature that failed comes first, then the newest; at most three:
    a mail is not a changelog. A release touches a feature if it bears its name as a
    tag.
    """
    after = [
        release
        for release in releases
        if left_at.date() < release.date <= now.date()
        and not set(features).isdisjoint(release.tags)
    ]
    after.sort(key=lambda each: (failed in each.tags, each.date, each.title))
    return after[::-1][:_MOST]
