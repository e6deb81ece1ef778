"""How many mails may go now: what SES allows, less what others and prudence need.

All workers share one allowance. It is kept as the moments of recent sends, not as
tokens that fill up: a bucket lets twice the rate through in its first second, and SES
refuses what is above it. Where SES throttles all the same the rate falls at once and
rises slowly, as it does for senders on a network (AIMD: D. Chiu and R. Jain, 1989).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import floor
from typing import Final, NamedTuple

from campaigns.domain.values import SendingQuota

QUOTA_HOLDS_FOR: Final = timedelta(seconds=30)
AFTER_HALT: Final = timedelta(minutes=5)
_WHILE_ASKED: Final = timedelta(seconds=1)
_MARGIN: Final = 1.02
"""SES counts by its own clock, and mails are not equally long on their way."""
_SLOWER_BY: Final = 0.8
_RECOVERS_PER_SECOND: Final = 0.03
_LEAST_SHARE: Final = 0.05
_SLOWEST: Final = 1e-3  # mails a second
_ROUNDING: Final = 1e-9
_ONE_MOMENT: Final = timedelta(milliseconds=50)
_FIRST_DAY: Final = 200
_GROWTH_PER_DAY: Final = 1.5
_WARM_AFTER_DAYS: Final = 30


class Policy(NamedTuple):
    """What is left to others, and how a new domain begins.

    Attributes:
        reserve_share: The share of rate and daily quota that stays for other mail.
        warm_up_from: The first day of a domain that mailboxes do not know yet; None for
            one that has sent for long.
    """

    reserve_share: float = 0.0
    warm_up_from: date | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may go out, as all workers know it.

    Attributes:
        quota: What SES said it allows; None before it was asked.
        asked_at: When it was asked.
        spent: Mails granted since then.
        recent: When how many were granted, oldest first, as far back as it matters.
        share: The share of the rate that was used when SES last throttled.
        throttled_at: When that was.
        halted_until: Nothing goes out before then.
        halted_because: Why.
        day: The UTC day that `today` counts.
        today: Mails granted on it.
    """

    quota: SendingQuota | None = None
    asked_at: datetime | None = None
    spent: int = 0
    recent: tuple[tuple[datetime, int], ...] = ()
    share: float = 1.0
    throttled_at: datetime | None = None
    halted_until: datetime | None = None
    halted_because: str | None = None
    day: date | None = None
    today: int = 0


class Grant(NamedTuple):
    """How many mails may go now.

    Attributes:
        mails: So many.
        again_at: When to ask again for those that may not; None if all may.
        because: Why they may not; None if it is only the rate.
    """

    mails: int
    again_at: datetime | None = None
    because: str | None = None


def needs_asking(allowance: Allowance, *, now: datetime) -> bool:
    """Say whether SES should be asked again what it allows."""
    asked_at = allowance.asked_at
    return asked_at is None or not asked_at <= now < asked_at + QUOTA_HOLDS_FOR


def grant(
    allowance: Allowance, wanted: int, *, policy: Policy, now: datetime
) -> tuple[Grant, Allowance]:
    """Return how many of `wanted` mails may go now, and the allowance after them."""
    because = _forbidden(allowance, now)
    if because is not None:
        until = allowance.halted_until
        is_halted = until is not None and now < until
        is_asked = allowance.quota is None  # the answer will be there soon
        pause = _WHILE_ASKED if is_asked else QUOTA_HOLDS_FOR
        again_at = until if is_halted else now + pause
        return Grant(0, again_at, because), allowance
    today = allowance.today if allowance.day == now.date() else 0
    left, limit = _left(allowance, today, policy, now)
    if left <= 0:
        return Grant(0, now + AFTER_HALT, limit), allowance
    span, most = _window(_per_second(allowance, policy, now))
    recent = tuple(each for each in allowance.recent if each[0] > now - span)
    free = most - sum(count for _, count in recent)
    count = max(0, min(wanted, left, free))
    after = replace(
        allowance,
        spent=allowance.spent + count,
        recent=_with(recent, now, count),
        day=now.date(),
        today=today + count,
    )
    if count == wanted:
        return Grant(count), after
    if count == left:
        return Grant(count, now + AFTER_HALT, limit), after
    return Grant(count, after.recent[0][0] + span), after


def _with(
    recent: tuple[tuple[datetime, int], ...], now: datetime, count: int
) -> tuple[tuple[datetime, int], ...]:
    """Return the moments with one more; near ones become one, the later."""
    if not count:
        return recent
    if not recent:
        return ((now, count),)
    latest, before = recent[-1]
    now = max(now, latest)  # another worker's clock may be ahead
    if _moment(now) == _moment(latest):
        return (*recent[:-1], (now, before + count))
    return (*recent, (now, count))


def _moment(at: datetime) -> float:
    return at.timestamp() // _ONE_MOMENT.total_seconds()


def _forbidden(allowance: Allowance, now: datetime) -> str | None:
    if allowance.halted_until is not None and now < allowance.halted_until:
        return allowance.halted_because
    if allowance.quota is None:
        return "SES has not said yet what it allows"
    return None if allowance.quota.is_enabled else "SES says that sending is disabled"


def _left(
    allowance: Allowance, today: int, policy: Policy, now: datetime
) -> tuple[int, str]:
    """Return how many mails are left for today, and what the limit is called."""
    quota = allowance.quota or SendingQuota(0, 0, 0)
    reserve = floor(policy.reserve_share * max(0, quota.max_per_day))
    of_quota = quota.left_today - reserve - allowance.spent
    if policy.warm_up_from is None:
        return of_quota, "the daily quota of SES is spent"
    of_warm_up = warm_up_limit(now.date() - policy.warm_up_from) - today
    if of_warm_up < of_quota:
        return of_warm_up, "the new domain's mails of today are sent"
    return of_quota, "the daily quota of SES is spent"


def warm_up_limit(age: timedelta) -> int:
    """Return how many mails a domain may send on a day of its life.

    Mailboxes distrust a domain that begins with much. There is no rule all of them
    follow; ours is 200 mails on the first day, and half as many more on each next one.

    >>> [warm_up_limit(timedelta(days=n)) for n in (-1, 0, 1, 7, 30, 9999)]
    [0, 200, 300, 3417, 38350211, 38350211]
    """
    if age.days < 0:
        return 0
    return floor(_FIRST_DAY * _GROWTH_PER_DAY ** min(age.days, _WARM_AFTER_DAYS))


def _per_second(allowance: Allowance, policy: Policy, now: datetime) -> float:
    quota = allowance.quota or SendingQuota(0, 0, 0)
    share = share_of_rate(allowance, now=now)
    return quota.max_per_second * (1 - policy.reserve_share) * share


def share_of_rate(allowance: Allowance, *, now: datetime) -> float:
    """Return the share of the rate that is used now: all of it unless SES throttled."""
    if allowance.throttled_at is None:
        return 1.0
    seconds = (now - allowance.throttled_at).total_seconds()
    return min(1.0, allowance.share + _RECOVERS_PER_SECOND * max(0.0, seconds))


def _window(per_second: float) -> tuple[timedelta, int]:
    """Return a span, of a second or more, and how many whole mails it may hold."""
    seconds = max(1.0, 1 / max(per_second, _SLOWEST))
    most = max(1, floor(per_second * seconds + _ROUNDING))
    return timedelta(seconds=seconds * _MARGIN), most


def after_throttling(allowance: Allowance, *, now: datetime) -> Allowance:
    """Return the allowance once SES throttled; a burst of answers counts once."""
    before = allowance.throttled_at
    if before is not None and timedelta() <= now - before < timedelta(seconds=1):
        return allowance
    share = max(_LEAST_SHARE, share_of_rate(allowance, now=now) * _SLOWER_BY)
    return replace(allowance, share=share, throttled_at=now)


def after_halt(
    allowance: Allowance, because: str, *, now: datetime, pause: timedelta
) -> Allowance:
    """Return the allowance once nothing would be taken, whichever worker posts it."""
    until = now + pause
    if allowance.halted_until is not None and allowance.halted_until > until:
        return allowance
    return replace(allowance, halted_until=until, halted_because=because)


def after_none_taken(allowance: Allowance, mails: int, *, now: datetime) -> Allowance:
    """Return the allowance once granted mails were not taken: they may go again."""
    today = allowance.today - mails if allowance.day == now.date() else allowance.today
    spent = max(0, allowance.spent - mails)
    return replace(allowance, spent=spent, today=max(0, today))


def after_asking(
    allowance: Allowance, quota: SendingQuota, *, now: datetime
) -> Allowance:
    """Return the allowance once SES said what it allows.

    What was granted just now may be on its way, and not counted by SES.
    """
    since = now - timedelta(seconds=1)
    on_their_way = sum(count for at, count in allowance.recent if at > since)
    return replace(allowance, quota=quota, asked_at=now, spent=on_their_way)
