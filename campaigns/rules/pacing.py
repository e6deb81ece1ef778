"""How fast mails may go: a token bucket kept as a value."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens left at a moment; one token is one mail."""

    tokens: float
    at: datetime


def refill(bucket: Bucket, *, now: datetime, per_second: float) -> Bucket:
    """Return the bucket at `now`; it gains `per_second` and holds that much."""
    gained = max(0.0, (now - bucket.at).total_seconds()) * per_second
    return Bucket(min(max(per_second, 1.0), bucket.tokens + gained), now)


def take(bucket: Bucket, count: int) -> Bucket:
    """Return the bucket after `count` mails went out."""
    return replace(bucket, tokens=bucket.tokens - count)


def next_token_at(bucket: Bucket, *, per_second: float) -> datetime:
    """Return when the bucket holds a whole token again."""
    missing = max(0.0, 1.0 - bucket.tokens)
    return bucket.at + timedelta(seconds=missing / per_second)
