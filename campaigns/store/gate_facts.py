"""What the gate needs to know of messages, read in the transaction that decides.

It is read twice of each message, so its query is built once.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.values import GateFacts
from campaigns.domain.words import Arm, CampaignState, MessageState
from campaigns.store.by_database import ByDatabase
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
    session.flush()  # what was changed in this transaction is to be seen
    connection = session.connection()
    listed = {"messages": list(messages)}
    rows = connection.execute(_FACTS.on(connection), listed).all()
    return [
        _to_facts(row, _definition(session, row), default_zone, now) for row in rows
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


def _is_anothers() -> ColumnElement[bool]:
    """Return that another account's mail goes to the address a contact has moved to.

    Or that this account is held out; who shares an address is one, and gets one mail.
    """
    is_elsewhere = MessageRow.address_hash != ContactRow.address_hash
    made_for_it = exists().where(
        _other.address_hash == ContactRow.address_hash,
        _other.campaign == MessageRow.campaign,
        _other.enrolment != MessageRow.enrolment,
    )
    is_there = _neighbour.address_hash == ContactRow.address_hash
    # Of several that moved there the first enrolled is the one that is written to.
    moved_there = exists().where(
        is_there,
        _before.account == _neighbour.account,
        _before.contact == _neighbour.id,
        _before.campaign == MessageRow.campaign,
        _before.id < MessageRow.enrolment,
    )
    held_out = exists().where(
        is_there,
        _neighbour.account != ContactRow.account,
        HoldoutRow.account == _neighbour.account,
        HoldoutRow.arm == Arm.HOLDOUT,
    )
    outer = MessageRow, ContactRow
    return and_(
        is_elsewhere,
        or_(made_for_it, moved_there.correlate(*outer), held_out.correlate(*outer)),
    )


_other = aliased(MessageRow)
_neighbour = aliased(ContactRow)
_before = aliased(EnrolmentRow)
_previous = aliased(MessageRow)
_FACTS: Final = ByDatabase(
    lambda words: (
        select(
            MessageRow.id,
            MessageRow.campaign,
            MessageRow.step,
            MessageRow.state,
            (MessageRow.address_hash != ContactRow.address_hash).label("has_moved"),
            _is_anothers().label("is_anothers"),
            CampaignRow.state.label("campaign_state"),
            CampaignRow.posted,
            CampaignRow.may_post,
            CampaignRow.posted_on,
            CampaignRow.posted_today,
            CampaignVersionRow.version,
            CampaignVersionRow.content_hash,
            EnrolmentRow.window_ends_at,
            HoldoutRow.arm,
            _is_suppressed().label("is_suppressed"),
            _snoozed_until().label("snoozed_until"),
            EpisodeRow.returned_at,
            _previous.state.label("previous_state"),
            _previous.settled_at.label("previous_settled_at"),
            func.coalesce(ContactRow.time_zone, AccountRow.time_zone).label(
                "time_zone"
            ),
        )
        .select_from(MessageRow)
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(EpisodeRow, EpisodeRow.id == MessageRow.episode)
        .join(CampaignRow, CampaignRow.name == MessageRow.campaign)
        .join(
            CampaignVersionRow,
            and_(
                CampaignVersionRow.campaign == EnrolmentRow.campaign,
                CampaignVersionRow.version == EnrolmentRow.campaign_version,
            ),
        )
        .join(AccountRow, AccountRow.id == EnrolmentRow.account)
        .join(ContactRow, ContactRow.id == MessageRow.contact)
        .outerjoin(HoldoutRow, HoldoutRow.account == EnrolmentRow.account)
        .outerjoin(
            _previous,
            and_(
                _previous.enrolment == MessageRow.enrolment,
                _previous.step == MessageRow.step - 1,
            ),
        )
        .where(words.is_listed(MessageRow.id, "messages"))
        .order_by(MessageRow.due_at, MessageRow.id)
    )
)

_read: dict[str, CampaignDefinition] = {}
"""Definitions by the hash of their content, which never changes."""


def _definition(session: Session, row: Any) -> CampaignDefinition:  # noqa: ANN401
    found = _read.get(row.content_hash)
    if found is None:
        version = session.get_one(CampaignVersionRow, (row.campaign, row.version))
        found = CampaignDefinition.model_validate(version.definition)
        _read[row.content_hash] = found
    return found


def _to_facts(
    row: Any,  # noqa: ANN401 — of the query above
    campaign: CampaignDefinition,
    default_zone: str,
    now: datetime,
) -> GateFacts:
    before = row.previous_state
    return GateFacts(
        message=row.id,
        campaign=row.campaign,
        state=MessageState(row.state),
        campaign_state=CampaignState(row.campaign_state),
        arm=Arm(row.arm) if row.arm else Arm.HOLDOUT,
        has_moved=bool(row.has_moved),
        is_anothers=bool(row.is_anothers),
        is_suppressed=bool(row.is_suppressed),
        snoozed_until=row.snoozed_until,
        has_returned=row.returned_at is not None,
        window_ends_at=row.window_ends_at,
        previous_state=MessageState(before) if before else None,
        previous_settled_at=row.previous_settled_at,
        days_after_previous=campaign.steps[row.step - 1].days_after_previous,
        mails_today=row.posted_today if row.posted_on == now.date() else 0,
        mails_per_day=campaign.caps.mails_per_day,
        posted=row.posted,
        may_post=row.may_post,
        time_zone=row.time_zone or default_zone,
        schedule=campaign.schedule,
    )
