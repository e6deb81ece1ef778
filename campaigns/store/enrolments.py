"""Enrolments: which account entered which campaign, in which arm."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from campaigns.domain.campaign import Step, template_for
from campaigns.domain.values import Candidate, Cohort, NewEnrolment
from campaigns.domain.words import Arm, EnrolmentRefusal, MessageState
from campaigns.store import scores
from campaigns.store.records import chunks
from campaigns.store.tables.delivery import MessageRow
from campaigns.store.tables.programme import (
    EnrolmentRow,
    EpisodeRow,
    HoldoutRow,
    RefusalRow,
)
from campaigns.store.tables.records import AccountRow, ContactRow


def candidates(
    session: Session,
    campaign: str,
    *,
    scored_as_of: datetime,
    model: str | None,
    now: datetime,
) -> list[Candidate]:
    """Return every account with an open episode, ordered by account.

    An account enrolled in this or another campaign in this episode says so.
    """
    scored = scores.of_batch(session, scored_as_of, model=model)
    enrolled: dict[int, set[str]] = {}
    for episode, name in session.execute(
        select(EnrolmentRow.episode, EnrolmentRow.campaign)
    ):
        enrolled.setdefault(episode, set()).add(name)
    query = (
        select(
            EpisodeRow.account,
            EpisodeRow.id,
            EpisodeRow.churned_at,
            AccountRow.time_zone,
            AccountRow.persona,
        )
        .join(AccountRow, AccountRow.id == EpisodeRow.account)
        .where(EpisodeRow.returned_at.is_(None), EpisodeRow.churned_at <= now)
        .order_by(EpisodeRow.account)
    )
    return [
        Candidate(
            account=account,
            episode=episode,
            churned_at=churned_at,
            time_zone=time_zone,
            persona=persona,
            segment=scored[account].segment if account in scored else None,
            score=scored[account].id if account in scored else None,
            uplift=scored[account].uplift if account in scored else None,
            enrolled_here=campaign in enrolled.get(episode, ()),
            enrolled_elsewhere=bool(enrolled.get(episode, set()) - {campaign}),
        )
        for account, episode, churned_at, time_zone, persona in session.execute(query)
    ]


def arms_of_programme(session: Session) -> dict[str, Arm]:
    """Return the arm of every account that ever got one."""
    query = select(HoldoutRow.account, HoldoutRow.arm)
    return {account: Arm(arm) for account, arm in session.execute(query)}


def addresses(session: Session) -> dict[str, set[str]]:
    """Return the address hashes of each account that has contacts."""
    found: dict[str, set[str]] = {}
    for account, address in session.execute(
        select(ContactRow.account, ContactRow.address_hash)
    ):
        found.setdefault(account, set()).add(address)
    return found


def addresses_in_use(session: Session, campaign: str) -> set[str]:
    """Return the address hashes that the campaign's open enrolments were given."""
    query = (
        select(ContactRow.address_hash)
        .join(EnrolmentRow, EnrolmentRow.contact == ContactRow.id)
        .join(EpisodeRow, EpisodeRow.id == EnrolmentRow.episode)
        .where(EnrolmentRow.campaign == campaign, EpisodeRow.returned_at.is_(None))
    )
    return set(session.scalars(query))


def assign(
    session: Session,
    arms: Mapping[str, Arm],
    *,
    stratum_of: Mapping[str, str],
    holdout_chance: float,
    now: datetime,
) -> None:
    """Record the arms of accounts that had none, and their chance to be held out."""
    values = [
        {
            "account": account,
            "arm": arm,
            "stratum": stratum_of[account],
            "assigned_at": now,
            "holdout_chance": holdout_chance,
        }
        for account, arm in sorted(arms.items())
    ]
    if values:
        session.execute(insert(HoldoutRow), values)


def add(
    session: Session,
    new: Sequence[NewEnrolment],
    *,
    cohort: Cohort,
    version: int,
    steps: Sequence[Step],
    now: datetime,
    window_ends_at: datetime,
) -> None:
    """Store enrolments of both arms, and the planned messages of the treated ones.

    Args:
        session: The caller's transaction.
        new: Who enters.
        cohort: Through which planned enrolment.
        version: The campaign's version they enter under.
        steps: The campaign's steps: a message each.
        now: The moment of enrolment.
        window_ends_at: When a return stops counting.
    """
    rows = [
        {
            "campaign": cohort.campaign,
            "campaign_version": version,
            "cohort": cohort.id,
            "account": each.account,
            "episode": each.episode,
            "contact": each.contact.id,
            "contact_choice": each.contact_choice,
            "arm": each.arm,
            "segment": each.segment,
            "stratum": each.stratum,
            "persona": each.persona,
            "score": each.score,
            "enrolment_chance": each.chance,
            "enrolled_at": now,
            "window_ends_at": window_ends_at,
        }
        for each in new
    ]
    for piece in chunks(rows):
        session.execute(insert(EnrolmentRow), piece)
    _plan_messages(session, new, cohort=cohort, steps=steps)


def _plan_messages(
    session: Session,
    new: Sequence[NewEnrolment],
    *,
    cohort: Cohort,
    steps: Sequence[Step],
) -> None:
    ids = _ids(session, cohort.id)
    messages = [
        {
            "enrolment": ids[each.account],
            "campaign": cohort.campaign,
            "episode": each.episode,
            "step": number,
            "template": template_for(text, each.segment),
            "variant": text if step.templates else None,
            "contact": each.contact.id,
            "address_hash": each.contact.address_hash,
            "due_at": due_at,
            "state": MessageState.PLANNED,
        }
        for each in new
        if each.arm is Arm.TREATED
        for number, (step, due_at, text) in enumerate(
            zip(steps, each.due_at, each.texts, strict=True), start=1
        )
    ]
    for planned in chunks(messages):
        session.execute(insert(MessageRow), planned)


def _ids(session: Session, cohort: int) -> dict[str, int]:
    query = select(EnrolmentRow.account, EnrolmentRow.id)
    rows = session.execute(query.where(EnrolmentRow.cohort == cohort))
    return dict(rows.all())


def refuse(
    session: Session,
    refusals: Iterable[tuple[str, EnrolmentRefusal]],
    *,
    cohort: int,
) -> None:
    """Record why accounts were not enrolled by a cohort."""
    values = [
        {"cohort": cohort, "account": account, "reason": reason}
        for account, reason in refusals
    ]
    for piece in chunks(values):
        session.execute(insert(RefusalRow), piece)


def enrolled_at(session: Session, campaign: str, arm: Arm) -> dict[str, datetime]:
    """Return when each account of an arm was enrolled in a campaign."""
    query = select(EnrolmentRow.account, EnrolmentRow.enrolled_at).where(
        EnrolmentRow.campaign == campaign, EnrolmentRow.arm == arm
    )
    return dict(session.execute(query).all())
