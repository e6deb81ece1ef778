"""Messages: the ledger that the whole delivery turns on.

Every change of state names the state it starts from and is checked against the edges
of rules/message_state, so a race meets a condition and not luck.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.values import ClaimedMessage, GateFacts, Posted
from campaigns.domain.words import Arm, CampaignState, MessageState
from campaigns.rules.message_state import is_edge
from campaigns.store.tables.delivery import (
    AttemptRow,
    MessageRow,
    SnoozeRow,
    SuppressionRow,
)
from campaigns.store.tables.programme import (
    CampaignRow,
    CampaignVersionRow,
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    ScoreRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow


def move(
    session: Session,
    message: int,
    before: MessageState,
    after: MessageState,
    **changes: object,
) -> bool:
    """Take one message along an edge; say whether it still stood at its start.

    A message that leaves `claimed` loses its lease.
    """
    if not is_edge(before, after):
        raise AssertionError(f"there is no edge from {before} to {after}")
    if before is MessageState.CLAIMED:
        changes |= {"leased_until": None, "leased_by": None}
    moved = session.execute(
        update(MessageRow)
        .where(MessageRow.id == message, MessageRow.state == before)
        .values(state=after, **changes)
        .returning(MessageRow.id)
    )
    return moved.first() is not None


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(MessageRow.state == MessageState.PLANNED, MessageRow.due_at <= now)


def due(session: Session, *, now: datetime, limit: int) -> list[int]:
    """Return the longest-due messages of running campaigns, and lock their rows."""
    query = (
        select(MessageRow.id)
        .join(CampaignRow, CampaignRow.name == MessageRow.campaign)
        .where(_is_due(now), CampaignRow.state == CampaignState.RUNNING)
        .order_by(MessageRow.due_at, MessageRow.id)
        .limit(limit)
        # Ignored by SQLite, where one process sends.
        .with_for_update(skip_locked=True, of=MessageRow)
    )
    return list(session.scalars(query))


def next_due_at(session: Session) -> datetime | None:
    """Return when the next message of a running campaign falls due."""
    query = (
        select(func.min(MessageRow.due_at))
        .join(CampaignRow, CampaignRow.name == MessageRow.campaign)
        .where(
            MessageRow.state == MessageState.PLANNED,
            CampaignRow.state == CampaignState.RUNNING,
        )
    )
    return session.scalar(query)


def gate_facts(
    session: Session, messages: Collection[int], *, default_zone: str, now: datetime
) -> list[GateFacts]:
    """Return what the gate needs to know of each message, read in this transaction."""
    previous = aliased(MessageRow)
    query = (
        select(MessageRow, EnrolmentRow, EpisodeRow.returned_at, HoldoutRow.arm)
        .add_columns(
            CampaignRow.state,
            CampaignVersionRow.definition,
            ContactRow.time_zone,
            AccountRow.time_zone,
            _is_suppressed(),
            _snoozed_until(),
            previous.state,
            previous.settled_at,
        )
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
            previous,
            and_(
                previous.enrolment == MessageRow.enrolment,
                previous.step == MessageRow.step - 1,
            ),
        )
        .where(MessageRow.id.in_(messages))
        .order_by(MessageRow.due_at, MessageRow.id)
    )
    sent_today = _posted_today(session, now)
    return [
        _to_facts(tuple(row), sent_today=sent_today, default_zone=default_zone)
        for row in session.execute(query)
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


def _posted_today(session: Session, now: datetime) -> dict[str, int]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    query = (
        select(MessageRow.campaign, func.count(AttemptRow.id))
        .join(AttemptRow, AttemptRow.message == MessageRow.id)
        .where(AttemptRow.posted_at >= midnight)
        .group_by(MessageRow.campaign)
    )
    return dict(session.execute(query).all())


def _to_facts(
    row: tuple[object, ...], *, sent_today: dict[str, int], default_zone: str
) -> GateFacts:
    (message, enrolment, returned_at, arm, campaign_state, definition, contact_zone,
     account_zone, is_suppressed, snoozed_until, before, settled_at) = row  # fmt: skip
    campaign = CampaignDefinition.model_validate(definition)
    assert isinstance(message, MessageRow)  # noqa: S101 — for the type checker
    assert isinstance(enrolment, EnrolmentRow)  # noqa: S101 — for the type checker
    return GateFacts(
        message=message.id,
        campaign=message.campaign,
        state=MessageState(message.state),
        campaign_state=CampaignState(str(campaign_state)),
        arm=Arm(str(arm)) if arm else Arm.HOLDOUT,
        is_suppressed=bool(is_suppressed),
        snoozed_until=snoozed_until if isinstance(snoozed_until, datetime) else None,
        has_returned=returned_at is not None,
        window_ends_at=enrolment.window_ends_at,
        previous_state=MessageState(str(before)) if before else None,
        previous_settled_at=settled_at if isinstance(settled_at, datetime) else None,
        days_after_previous=campaign.steps[message.step - 1].days_after_previous,
        mails_today=sent_today.get(message.campaign, 0),
        mails_per_day=campaign.caps.mails_per_day,
        time_zone=str(contact_zone or account_zone or default_zone),
        schedule=campaign.schedule,
    )


def claim(session: Session, message: int, *, worker: str, until: datetime) -> bool:
    """Lease one planned message to `worker`."""
    return move(
        session,
        message,
        MessageState.PLANNED,
        MessageState.CLAIMED,
        leased_until=until,
        leased_by=worker,
    )


def postpone(session: Session, message: int, *, until: datetime) -> None:
    """Let a planned message fall due later."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == message, MessageRow.state == MessageState.PLANNED)
        .values(due_at=until)
    )


def read_claimed(session: Session, messages: Sequence[int]) -> list[ClaimedMessage]:
    """Return what the mails of claimed messages are made from, in the given order."""
    query = (
        select(MessageRow, EnrolmentRow, AccountRow, ContactRow, ScoreRow)
        .add_columns(EpisodeRow.churned_at)
        .join(EnrolmentRow, EnrolmentRow.id == MessageRow.enrolment)
        .join(EpisodeRow, EpisodeRow.id == MessageRow.episode)
        .join(AccountRow, AccountRow.id == EnrolmentRow.account)
        .join(ContactRow, ContactRow.id == MessageRow.contact)
        .join(ScoreRow, ScoreRow.id == EnrolmentRow.score)
        .where(MessageRow.id.in_(messages))
    )
    found = {
        message.id: ClaimedMessage(
            id=message.id,
            campaign=message.campaign,
            step=message.step,
            template=message.template,
            account=account.id,
            address=contact.email,
            churned_at=churned_at,
            first_name=contact.first_name,
            account_name=account.name,
            segment=enrolment.segment,
            reasons=tuple(score.reasons),
            facts=score.facts,
        )
        for message, enrolment, account, contact, score, churned_at in session.execute(
            query
        )
    }
    return [found[message] for message in messages]


def begin_attempt(
    session: Session, message: int, *, worker: str, now: datetime
) -> int | None:
    """Take a claimed message to `posting` and write the attempt; None if not ours."""
    address = select(ContactRow.address_hash).where(ContactRow.id == MessageRow.contact)
    is_ours = session.execute(
        update(MessageRow)
        .where(
            MessageRow.id == message,
            MessageRow.state == MessageState.CLAIMED,
            MessageRow.leased_by == worker,
            MessageRow.leased_until > now,
        )
        .values(
            state=MessageState.POSTING,
            leased_until=None,
            leased_by=None,
            posted_at=now,
            settled_at=None,
            # The address it goes to, which may have changed since the enrolment: what
            # comes back (a bounce, an unsubscribe) is about this one.
            address_hash=address.scalar_subquery(),
        )
        .returning(MessageRow.id)
    )
    if is_ours.first() is None:
        return None
    earlier = select(func.count()).where(AttemptRow.message == message)
    attempt = session.execute(
        insert(AttemptRow)
        .values(
            message=message,
            number=earlier.scalar_subquery() + 1,
            worker=worker,
            posted_at=now,
        )
        .returning(AttemptRow.id)
    )
    return attempt.scalar_one()


def settle(session: Session, posted: Posted, *, now: datetime) -> None:
    """Record what became of an attempt.

    If an event settled the message meanwhile, only the attempt is completed.
    """
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.id == posted.attempt)
        .values(answered_at=now, answer=posted.state, detail=posted.reason)
    )
    changes: dict[str, object] = {"reason": posted.reason, "settled_at": now}
    if posted.ses_message_id:
        changes["ses_message_id"] = posted.ses_message_id
    if posted.not_before:
        changes = {"due_at": posted.not_before}
    move(session, posted.message, MessageState.POSTING, posted.state, **changes)


def sweep(session: Session, *, now: datetime) -> tuple[int, int]:
    """Put right what a killed sender left; the caller holds the sender lock.

    Returns:
        How many claims went back to planned, and how many postings became unknown.
    """
    claimed = list(
        session.scalars(
            select(MessageRow.id).where(MessageRow.state == MessageState.CLAIMED)
        )
    )
    for message in claimed:
        move(session, message, MessageState.CLAIMED, MessageState.PLANNED)
    posting = list(
        session.scalars(
            select(MessageRow.id).where(MessageRow.state == MessageState.POSTING)
        )
    )
    for message in posting:
        move(
            session,
            message,
            MessageState.POSTING,
            MessageState.UNKNOWN,
            reason="the sender ended before SES's answer was recorded",
            settled_at=now,
        )
    return len(claimed), len(posting)


def expire_leases(session: Session, *, now: datetime) -> None:
    """Let claims whose lease ran out be planned again: nothing was posted."""
    session.execute(
        update(MessageRow)
        .where(MessageRow.state == MessageState.CLAIMED, MessageRow.leased_until <= now)
        .values(state=MessageState.PLANNED, leased_until=None, leased_by=None)
    )
