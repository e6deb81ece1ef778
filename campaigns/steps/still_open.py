"""What can be said of windows that are still open."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from campaigns.domain.words import Arm
from campaigns.present.lines import OpenLine
from campaigns.store.outcomes import EarlyReturn, OpenCount

_DAY: Final = timedelta(days=1)


def open_lines(
    counts: Sequence[OpenCount],
    returns: Sequence[EarlyReturn],
    *,
    known_until: datetime | None,
) -> tuple[OpenLine, ...]:
    """Return what is known of each arm; () if no window is open.

    Args:
        counts: Accounts without an outcome.
        returns: Those of them that came back.
        known_until: Up to when it is known who came back.
    """
    if not counts:
        return ()
    return tuple(
        _line(
            arm,
            [each for each in counts if each.arm is arm],
            [
                each
                for each in returns
                if each.arm is arm and known_until and each.returned_at < known_until
            ],
            known_until,
        )
        for arm in Arm
    )


def _line(
    arm: Arm,
    counts: Sequence[OpenCount],
    returns: Sequence[EarlyReturn],
    known_until: datetime | None,
) -> OpenLine:
    from campaigns.rules.measure.survival import returned_share  # imports scipy

    back = Counter(each.enrolled_at for each in returns)
    watched = [
        (
            (known_until - each.enrolled_at) / _DAY,
            each.accounts - back[each.enrolled_at],
        )
        for each in counts
        if known_until and each.enrolled_at < known_until
    ]
    came = [(each.returned_at - each.enrolled_at) / _DAY for each in returns]
    return OpenLine(
        arm=arm,
        accounts=sum(each.accounts for each in counts),
        returned=len(returns),
        days=int(max((days for days, _ in watched), default=0)),
        share=returned_share(came, watched),
    )
