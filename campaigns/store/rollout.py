"""How much a campaign may post, by what came back of what it posted."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from campaigns.domain.words import (
    Bounce,
    CampaignState,
    Delivery,
    MessageState,
    SuppressionReason,
)
from campaigns.rules.guardrails import Feedback
from campaigns.rules.rollout import may_post
from campaigns.store import campaigns
from campaigns.store.tables.delivery import (
    AttemptRow,
    EventRow,
    MessageRow,
    SuppressionRow,
)
from campaigns.store.tables.programme import CampaignRow

_SOON: Final = timedelta(hours=1)
_LOST: Final = timedelta(days=1)
_KNOWN: Final = (Delivery.DELIVERED, Delivery.BOUNCED, Delivery.COMPLAINED)
"""What events say once a mail's fate is known."""
_REJECTED_IN_A_ROW: Final = 10


def rejected_in_a_row(session: Session, message: int) -> int | None:
    """Return how many mails of a message's campaign SES refused in a row, if too many.

    One refused mail says something of its recipient, many of the campaign.
    """
    campaign = select(MessageRow.campaign).where(MessageRow.id == message)
    latest = (
        select(AttemptRow.answer)
        .join(MessageRow, MessageRow.id == AttemptRow.message)
        .where(
            MessageRow.campaign == campaign.scalar_subquery(),
            AttemptRow.answered_at.is_not(None),
        )
        .order_by(AttemptRow.id.desc())
        .limit(_REJECTED_IN_A_ROW)
    )
    answers = list(session.scalars(latest))
    refused = answers.count(MessageState.REFUSED)
    return refused if refused == _REJECTED_IN_A_ROW else None


def roll_out(session: Session, *, now: datetime) -> None:
    """Let running campaigns post more, by how much is known of what they posted.

    A mail whose Send event is an hour old is known too: bounces come within minutes,
    and not every configuration set publishes deliveries. After a day its events are
    taken for lost.
    """
    known_of = (
        select(func.count())
        .where(
            MessageRow.campaign == CampaignRow.name,
            or_(
                MessageRow.delivery.in_(_KNOWN),
                (MessageRow.delivery == Delivery.SENT)
                & (MessageRow.posted_at <= now - _SOON),
                (MessageRow.state == MessageState.ACCEPTED)
                & (MessageRow.posted_at <= now - _LOST),
            ),
        )
        .scalar_subquery()
    )
    limited = select(CampaignRow, known_of).where(
        CampaignRow.state == CampaignState.RUNNING, CampaignRow.may_post.is_not(None)
    )
    for campaign, known in session.execute(limited):
        first = campaigns.definition_of(session, campaign.name).caps.first_mails
        campaign.may_post = may_post(known, first=first)


def feedback(session: Session) -> dict[str, Feedback]:
    """Return what came back of each running campaign's mails since it was resumed."""
    known = MessageRow.delivery.in_(_KNOWN)
    # By its event: an address may be suppressed for another reason before that comes.
    # Few messages bounced, and of no other are events read; one may also have bounced
    # after it was delivered.
    bounced = or_(
        (MessageRow.delivery == Delivery.BOUNCED)
        & exists().where(
            EventRow.message == MessageRow.id, EventRow.bounce == Bounce.HARD
        ),
        SuppressionRow.reason == SuppressionReason.HARD_BOUNCE,
    )
    query = (
        select(
            MessageRow.campaign,
            func.count().filter(known),
            func.count().filter(bounced),
            func.count().filter(MessageRow.delivery == Delivery.COMPLAINED),
        )
        .join(CampaignRow, CampaignRow.name == MessageRow.campaign)
        .outerjoin(SuppressionRow, SuppressionRow.message == MessageRow.id)
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            MessageRow.posted_at
            >= func.coalesce(CampaignRow.guarded_since, CampaignRow.launched_at),
        )
        .group_by(MessageRow.campaign)
    )
    return {name: Feedback(*counts) for name, *counts in session.execute(query)}
