"""Meters: how many mails of a campaign were posted, where there is a limit to that."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import CampaignRow


class Meter(NamedTuple):
    """A campaign's counts.

    Attributes:
        posted: Attempts, ever.
        today: Attempts on this UTC day.
        may_post: How many it may make before more is known of them; None for any.
    """

    posted: int
    today: int
    may_post: int | None


def campaign_meters(
    session: Session, campaigns: Collection[str], *, now: datetime
) -> dict[str, Meter]:
    """Return the meters of campaigns."""
    row = CampaignRow
    query = select(row.name, row.posted, row.posted_today, row.posted_on, row.may_post)
    return {
        name: Meter(posted, today if day == now.date() else 0, may_post)
        for name, posted, today, day, may_post in session.execute(
            query.where(row.name.in_(campaigns))
        )
    }


def count(session: Session, messages: Collection[int], *, now: datetime) -> None:
    """Add an attempt of each of these messages to the meters of their campaigns."""
    row = CampaignRow
    today = case((row.posted_on == now.date(), row.posted_today), else_=0)
    for name, number in _by_campaign(session, messages):
        session.execute(
            update(row)
            .where(row.name == name)
            .values(
                posted=row.posted + number,
                posted_today=today + number,
                posted_on=now.date(),
            )
        )


def take_off(session: Session, messages: Collection[int]) -> None:
    """Take these messages off again: SES did not take them, so nothing is out."""
    for name, number in _by_campaign(session, messages):
        session.execute(
            update(CampaignRow)
            .where(CampaignRow.name == name)
            .values(posted=CampaignRow.posted - number)
        )


def _by_campaign(session: Session, messages: Collection[int]) -> list[tuple[str, int]]:
    """Return how many of the messages are of which campaign, always in one order."""
    if not messages:
        return []
    query = (
        select(MessageRow.campaign, func.count())
        .where(MessageRow.id.in_(messages))
        .group_by(MessageRow.campaign)
        .order_by(MessageRow.campaign)
    )
    return [(name, number) for name, number in session.execute(query)]
