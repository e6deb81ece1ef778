"""Meters: how many mails of a campaign were posted, where there is a limit to that."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import and_, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import CampaignRow


def count(session: Session, attempts: Mapping[str, int], *, now: datetime) -> None:
    """Add attempts to the meters of their campaigns."""
    # Always in one order: two workers would wait for each other otherwise.
    for name in sorted(attempts):
        values = {"of": name, "number": attempts[name], "day": now.date()}
        session.connection().execute(_ADD, values)


def take_off(session: Session, messages: Collection[int], *, now: datetime) -> None:
    """Take messages off again: SES did not take them, so nothing of them is out."""
    if not messages:
        return
    query = (
        select(MessageRow.campaign, func.count())
        .where(MessageRow.id.in_(messages))
        .group_by(MessageRow.campaign)
        .order_by(MessageRow.campaign)
    )
    for name, number in session.execute(query).all():
        session.execute(
            update(CampaignRow)
            .where(CampaignRow.name == name)
            .values(
                posted=CampaignRow.posted - number,
                posted_today=case(
                    (
                        and_(
                            CampaignRow.posted_on == now.date(),
                            CampaignRow.posted_today >= number,
                        ),
                        CampaignRow.posted_today - number,
                    ),
                    else_=CampaignRow.posted_today,
                ),
            )
        )


_today = case(
    (CampaignRow.posted_on == bindparam("day"), CampaignRow.posted_today), else_=0
)
_ADD: Final = (
    update(CampaignRow)
    .where(CampaignRow.name == bindparam("of"))
    .values(
        posted=CampaignRow.posted + bindparam("number"),
        posted_today=_today + bindparam("number"),
        posted_on=bindparam("day"),
    )
)
