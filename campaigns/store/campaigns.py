"""Campaigns: a stable name, versioned definitions, planned cohorts."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.orm import Session

from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.values import CampaignStatus
from campaigns.domain.words import (
    CampaignState,
    MessageState,
)
from campaigns.errors import ActionRefusedError, NotFoundError
from campaigns.rules.message_state import OPEN
from campaigns.rules.rollout import may_post
from campaigns.store import gate, instance
from campaigns.store.cohorts import cohorts_of, ids_of
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import (
    CampaignRow,
    CampaignVersionRow,
    CohortRow,
    EnrolmentRow,
    RefusalRow,
)


def apply(
    session: Session, definition: CampaignDefinition, *, now: datetime
) -> tuple[int, bool]:
    """Store a definition as the campaign's newest version.

    Returns:
        The version, and whether it is new: an unchanged definition makes none.
    """
    content = definition.model_dump(mode="json")
    digest = blake2b(
        orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16
    ).hexdigest()
    campaign = session.get(CampaignRow, definition.name)
    if campaign is not None:
        current = session.get_one(CampaignVersionRow, (campaign.name, campaign.version))
        if current.content_hash == digest:
            return campaign.version, False
        campaign.version += 1
        campaign.applied_at = now
    else:
        campaign = CampaignRow(
            name=definition.name,
            state=CampaignState.APPLIED,
            version=1,
            applied_at=now,
        )
        session.add(campaign)
    session.flush()
    session.add(
        CampaignVersionRow(
            campaign=campaign.name,
            version=campaign.version,
            definition=content,
            content_hash=digest,
            applied_at=now,
        )
    )
    return campaign.version, True


def _get(session: Session, name: str) -> CampaignRow:
    campaign = session.get(CampaignRow, name)
    if campaign is None:
        known = ", ".join(session.scalars(select(CampaignRow.name))) or "none yet"
        raise NotFoundError(
            f"there is no campaign {name!r} (applied ones: {known}); "
            "`winback campaign apply FILE` adds one"
        )
    return campaign


def definition_of(
    session: Session, name: str, version: int | None = None
) -> CampaignDefinition:
    """Return a campaign's definition, the newest unless a version is named."""
    campaign = _get(session, name)
    row = session.get_one(CampaignVersionRow, (name, version or campaign.version))
    return CampaignDefinition.model_validate(row.definition)


def state_of(session: Session, name: str) -> CampaignState:
    """Return where a campaign is."""
    return CampaignState(_get(session, name).state)


def version_of(session: Session, name: str) -> int:
    """Return the number of a campaign's newest version."""
    return _get(session, name).version


def launch(
    session: Session, name: str, *, cohorts: Sequence[datetime], now: datetime
) -> None:
    """Make a campaign live, with its cohorts planned.

    Raises:
        ActionRefusedError: It was launched before, or the database may be a copy.
    """
    instance.check_accepted(session)
    campaign = _get(session, name)
    if campaign.state != CampaignState.APPLIED:
        raise ActionRefusedError(
            f"campaign {name!r} was launched already and is {campaign.state}"
        )
    campaign.state = CampaignState.RUNNING
    campaign.launched_at = now
    campaign.may_post = may_post(0, first=definition_of(session, name).caps.first_mails)
    values = [
        {"campaign": name, "number": number, "due_at": due_at}
        for number, due_at in enumerate(cohorts, start=1)
    ]
    session.execute(insert(CohortRow), values)


def pin(session: Session, name: str, model: str | None) -> None:
    """Let a campaign's enrolments go by this model of segments from now on."""
    _get(session, name).model = model


def model_of(session: Session, name: str) -> str | None:
    """Return the model of segments that a campaign goes by; None for no certain one."""
    return _get(session, name).model


def pinned_models(session: Session) -> list[str]:
    """Return the models that running campaigns go by which enrol still."""
    query = (
        select(CampaignRow.model)
        .join(CohortRow, CohortRow.campaign == CampaignRow.name)
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            CampaignRow.model.is_not(None),
            CohortRow.enrolled_at.is_(None),
        )
        .distinct()
        .order_by(CampaignRow.model)
    )
    return [model for model in session.scalars(query) if model]


BY_A_PERSON: Final = "by a person"
_LONGEST_REASON: Final = 500
_SHOWN_OF_A_REASON: Final = 120
_MOST_REASONS: Final = 5


def pause(
    session: Session, name: str, *, now: datetime, because: str = BY_A_PERSON
) -> None:
    """Let a running campaign post no more, and remember why.

    Raises:
        ActionRefusedError: It does not run.
    """
    gate.before_a_no(session)
    campaign = _get(session, name)
    if campaign.state != CampaignState.RUNNING:
        raise ActionRefusedError(
            f"campaign {name!r} is {campaign.state}: only a running one can be paused"
        )
    campaign.state = CampaignState.PAUSED
    campaign.paused_at = now
    campaign.paused_because = because[:_LONGEST_REASON]


def pause_all(session: Session, *, now: datetime, because: str) -> list[str]:
    """Pause all running campaigns for a reason, and return their names."""
    running = select(CampaignRow.name).where(CampaignRow.state == CampaignState.RUNNING)
    names = sorted(session.scalars(running)) if because else []
    for name in names:
        pause(session, name, now=now, because=because)
    return names


def pause_of(session: Session, message: int, *, now: datetime, because: str) -> None:
    """Pause the campaign of a message, unless it does not run any more."""
    name = session.get_one(MessageRow, message).campaign
    if state_of(session, name) is CampaignState.RUNNING:
        pause(session, name, now=now, because=because)


def resume(session: Session, name: str, *, now: datetime) -> None:
    """Let a paused campaign go on; its guard-rails count anew from here.

    Raises:
        ActionRefusedError: It is not paused, or the database may be a copy.
    """
    instance.check_accepted(session)
    campaign = _get(session, name)
    if campaign.state != CampaignState.PAUSED:
        raise ActionRefusedError(
            f"campaign {name!r} is {campaign.state}: only a paused one can be resumed"
        )
    campaign.state = CampaignState.RUNNING
    campaign.paused_at = campaign.paused_because = None
    campaign.guarded_since = now


def goes_on_since(session: Session, name: str) -> datetime | None:
    """Return when a campaign was launched, or resumed last; None before."""
    since = func.coalesce(CampaignRow.guarded_since, CampaignRow.launched_at)
    return session.scalar(select(since).where(CampaignRow.name == name))


def names(session: Session) -> list[str]:
    """Return the names of all campaigns, in order."""
    return list(session.scalars(select(CampaignRow.name).order_by(CampaignRow.name)))


def were_launched(session: Session, *, before: datetime) -> bool:
    """Say whether any campaign was live at a moment."""
    query = select(CampaignRow.name).where(CampaignRow.launched_at <= before).limit(1)
    return session.scalar(query) is not None


def finish_done(session: Session) -> list[str]:
    """Finish each running campaign that has nothing left to enrol or to send."""
    open_cohort = select(CohortRow.campaign).where(CohortRow.enrolled_at.is_(None))
    open_message = exists().where(
        MessageRow.state.in_(OPEN), MessageRow.campaign == CampaignRow.name
    )
    statement = (
        update(CampaignRow)
        .where(
            CampaignRow.state == CampaignState.RUNNING,
            CampaignRow.name.not_in(open_cohort),
            ~open_message,
        )
        .values(state=CampaignState.FINISHED)
        .returning(CampaignRow.name)
    )
    return sorted(session.scalars(statement))


def status(session: Session, name: str) -> CampaignStatus:
    """Return how far a campaign is, each refusal and ending with its count."""
    campaign = _get(session, name)
    cohorts = cohorts_of(session, name)
    waiting = [cohort.due_at for cohort in cohorts if cohort.enrolled_at is None]
    of_campaign = MessageRow.campaign == name
    skipped = _counts(
        session,
        select(MessageRow.reason, func.count())
        .where(of_campaign, MessageRow.state == MessageState.SKIPPED)
        .group_by(MessageRow.reason),
    )
    return CampaignStatus(
        name=name,
        version=campaign.version,
        state=CampaignState(campaign.state),
        enrolled=_enrolled(session, name),
        refused=latest_refusals(session, name),
        messages=_counts(
            session,
            # Any state: asked for by name, all is found in the index of those due.
            select(MessageRow.state, func.count())
            .where(of_campaign, MessageRow.state.in_(MessageState))
            .group_by(MessageRow.state),
        ),
        skipped=skipped,
        unmade=_unmade(session, name),
        cohorts_planned=len(cohorts),
        cohorts_enrolled=len(cohorts) - len(waiting),
        next_cohort_at=min(waiting, default=None),
        paused_at=campaign.paused_at,
        paused_because=campaign.paused_because,
        may_post=campaign.may_post,
    )


def _enrolled(session: Session, name: str) -> dict[str, int]:
    # In the order of an index: nothing is sorted.
    group = EnrolmentRow.cohort, EnrolmentRow.arm
    query = (
        select(*group, func.count())
        .where(EnrolmentRow.cohort.in_(ids_of(name)))
        .group_by(*group)
        .order_by(*group)
    )
    enrolled: Counter[str] = Counter()
    for _, arm, accounts in session.execute(query):
        enrolled[arm] += accounts
    return dict(sorted(enrolled.items()))


def _unmade(session: Session, name: str) -> dict[str, int]:
    """Return the commonest reasons for which mails were refused, or are in doubt."""
    states = (MessageState.REFUSED, MessageState.UNKNOWN, MessageState.HELD)
    reason = func.coalesce(
        func.substr(MessageRow.reason, 1, _SHOWN_OF_A_REASON), "none"
    )
    query = (
        select(reason, func.count())
        .where(MessageRow.campaign == name, MessageRow.state.in_(states))
        .group_by(reason)
        .order_by(func.count().desc(), reason)
        .limit(_MOST_REASONS)
    )
    return dict(session.execute(query).all())


def latest_refusals(session: Session, name: str) -> dict[str, int]:
    """Return why accounts were not enrolled, counted in the latest cohort."""
    latest = (
        select(func.max(CohortRow.id))
        .where(CohortRow.campaign == name, CohortRow.enrolled_at.is_not(None))
        .scalar_subquery()
    )
    query = (
        select(RefusalRow.reason, func.count())
        .where(RefusalRow.cohort == latest)
        .group_by(RefusalRow.reason)
    )
    return _counts(session, query)


def _counts(session: Session, query: Any) -> dict[str, int]:  # noqa: ANN401
    return dict(sorted((str(word), count) for word, count in session.execute(query)))
