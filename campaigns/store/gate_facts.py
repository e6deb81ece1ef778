"""What the gate needs to know of messages, read in the transaction that decides."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.values import GateFacts
from campaigns.domain.words import Arm, CampaignState, MessageState
from campaigns.store.meters import Meter, campaign_meters
from campaigns.store.tables.delivery import MessageRow, SnoozeRow, SuppressionRow
from campaigns.store.tables.programme import (
    CampaignRow,
    CampaignVersionRow,
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow


def gate_facts(
    session: Session, messages: Collection[int], *, default_zone: str, now: datetime
) -> list[GateFacts]:
    """Return what the gate needs to know of each message, read in this transaction."""
    previous = aliased(MessageRow)
    query = (
        select(
            MessageRow.id,
            MessageRow.campaign,
            MessageRow.step,
            MessageRow.state,
            CampaignRow.state,
            EnrolmentRow.campaign_version,
            EnrolmentRow.window_ends_at,
            HoldoutRow.arm,
            _is_suppressed(),
            _snoozed_until(),
            EpisodeRow.returned_at,
            previous.state,
            previous.settled_at,
            func.coalesce(ContactRow.time_zone, AccountRow.time_zone),
        )
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(EpisodeRow, EpisodeRow.id == MessageRow.episode)
        .join(CampaignRow, CampaignRow.name == MessageRow.campaign)
        .join(AccountRow, AccountRow.id == EnrolmentRow.account)
        .join(ContactRow, ContactRow.id == MessageRow.contact)
        .outerjoin(HoldoutRow, HoldoutRow.account == EnrolmentRow.account)
        .outerjoin(
            previous,
            and_(
                previous.enrolment == MessageRow.enrolment,
                previous.step == MessageRow.step - 1,
            ),
        )
        .where(MessageRow.id.in_(messages))
        .order_by(MessageRow.due_at, MessageRow.id)
    )
    rows = session.execute(query).all()
    definitions = _definitions(session, {(row[1], row[5]) for row in rows})
    meters = campaign_meters(session, {row[1] for row in rows}, now=now)
    return [
        _to_facts(tuple(row), definitions[row[1], row[5]], meters[row[1]], default_zone)
        for row in rows
    ]


def _is_suppressed() -> ColumnElement[bool]:
    # By the address the contact has now: it may have changed since enrolment.
    return exists().where(
        SuppressionRow.address_hash.in_(
            (MessageRow.address_hash, ContactRow.address_hash)
        )
    )


def _snoozed_until() -> ColumnElement[datetime]:
    addresses = (MessageRow.address_hash, ContactRow.address_hash)
    return (
        select(func.max(SnoozeRow.until))
        .where(SnoozeRow.address_hash.in_(addresses))
        .correlate(MessageRow, ContactRow)
        .scalar_subquery()
    )


def _definitions(
    session: Session, versions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], CampaignDefinition]:
    found = {key: session.get_one(CampaignVersionRow, key) for key in versions}
    return {
        key: CampaignDefinition.model_validate(row.definition)
        for key, row in found.items()
    }


def _to_facts(
    row: tuple[Any, ...], campaign: CampaignDefinition, meter: Meter, default_zone: str
) -> GateFacts:
    (message, name, step, state, campaign_state, _, window_ends_at, arm, is_suppressed,
     snoozed_until, returned_at, before, settled_at, zone) = row  # fmt: skip
    return GateFacts(
        message=message,
        campaign=name,
        state=MessageState(state),
        campaign_state=CampaignState(campaign_state),
        arm=Arm(arm) if arm else Arm.HOLDOUT,
        is_suppressed=bool(is_suppressed),
        snoozed_until=snoozed_until,
        has_returned=returned_at is not None,
        window_ends_at=window_ends_at,
        previous_state=MessageState(before) if before else None,
        previous_settled_at=settled_at,
        days_after_previous=campaign.steps[step - 1].days_after_previous,
        mails_today=meter.today,
        mails_per_day=campaign.caps.mails_per_day,
        posted=meter.posted,
        may_post=meter.may_post,
        time_zone=zone or default_zone,
        schedule=campaign.schedule,
    )
