"""Enrol the accounts of a due cohort: who, in which arm, by whom, and when."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import partial
from math import floor
from typing import NamedTuple

import structlog

from campaigns.domain.campaign import CampaignDefinition
from campaigns.domain.definitions import WinBackDefinition
from campaigns.domain.records import zone_or
from campaigns.domain.values import Candidate, CandidateContact, Cohort, NewEnrolment
from campaigns.domain.words import (
    Arm,
    CampaignState,
    ContactChoice,
    EnrolmentRefusal,
    ModelKind,
)
from campaigns.errors import ActionRefusedError
from campaigns.rules.allocation import texts_of
from campaigns.rules.eligibility import choose_contact, holdout_stratum, refusal_of
from campaigns.rules.holdout import assign_arms, draw, units_by_address
from campaigns.rules.policy import Policy, lot
from campaigns.rules.timetable import due_times
from campaigns.steps.copies import GRACE
from campaigns.store import (
    campaigns,
    cohorts,
    enrolments,
    episodes,
    model_versions,
    records,
    scores,
)
from campaigns.store.session import Session, Sessions

logger = structlog.get_logger(__name__)


class Programme(NamedTuple):
    """What holds for all campaigns.

    Attributes:
        holdout_key: What the draw of arms is made with.
        holdout_share: From 0 to 1.
        win_back: The definition whose window an enrolment gets.
        default_time_zone: For contacts and accounts without one.
        policy: Whom to leave alone.
    """

    holdout_key: bytes
    holdout_share: float
    win_back: WinBackDefinition
    default_time_zone: str
    policy: Policy = Policy()


class EnrolResult(NamedTuple):
    """What became of every churned account; enrolled and refused add up to churned."""

    campaign: str
    cohort: int
    churned: int
    treated: int
    held_out: int
    refused: dict[str, int]


class Chosen(NamedTuple):
    """An account that may be enrolled.

    Attributes:
        candidate: The account.
        contact: Who of it would be written to.
        choice: Why.
    """

    candidate: Candidate
    contact: CandidateContact
    choice: ContactChoice


def due(sessions: Sessions, *, now: datetime) -> list[Cohort]:
    """Return the cohorts that are due and not enrolled."""
    with sessions.begin() as session:
        return cohorts.due_cohorts(session, now=now)


def pause_if_late(sessions: Sessions, cohort: Cohort, *, now: datetime) -> bool:
    """Pause the campaign of a cohort that was not enrolled in time; say if it is late.

    Mails that nobody awaits any more are for a person to send: once somebody resumes
    the campaign, it is enrolled.
    """
    with sessions.begin() as session:
        if campaigns.state_of(session, cohort.campaign) is not CampaignState.RUNNING:
            return True  # another cohort of it was late
        goes_on_since = campaigns.goes_on_since(session, cohort.campaign)
        if now - max(cohort.due_at, goes_on_since or cohort.due_at) <= GRACE:
            return False
        because = (
            f"its cohort {cohort.number} was due on {cohort.due_at:%Y-%m-%d at %H:%M} "
            "UTC and was not enrolled in time; resume it if it may go now"
        )
        campaigns.pause(session, cohort.campaign, now=now, because=because)
    logger.warning("cohort_late", campaign=cohort.campaign, cohort=cohort.number)
    return True


def enrol(
    sessions: Sessions, cohort: Cohort, *, programme: Programme, now: datetime
) -> EnrolResult:
    """Enrol one cohort in one transaction: all of it, or nothing.

    Raises:
        ActionRefusedError: No account was scored yet, or not by the campaign's model.
    """
    with sessions.begin() as session:
        scored_as_of = scores.latest_batch(session, before=now) or now
        if lacks_scores(session, cohort.campaign, now=now):
            raise ActionRefusedError(
                f"no account was scored by the model that {cohort.campaign} goes by; "
                "run `winback score` first"
            )
        if not scores.exist(session) and episodes.open_episodes(session):
            raise ActionRefusedError(
                "no account was scored yet; run `winback score --as-of DATE` first"
            )
        campaign = campaigns.definition_of(session, cohort.campaign)
        candidates = candidates_of(session, campaign.name, scored_as_of, now=now)
        chosen, refused = choose(session, campaign, candidates, programme, now)
        arms, stratum_of, torn = _arms(session, chosen, cohort, programme, now)
        refused |= dict.fromkeys(torn, EnrolmentRefusal.SHARES_ADDRESSES_WITH_BOTH_ARMS)
        new = [
            _enrolment(each, arms, stratum_of, campaign, programme, now)
            for each in chosen
            if each.candidate.account not in torn
        ]
        window_ends_at = now + programme.win_back.window
        enrolments.add(
            session,
            new,
            cohort=cohort,
            version=campaigns.version_of(session, campaign.name),
            steps=campaign.steps,
            now=now,
            window_ends_at=window_ends_at,
        )
        enrolments.refuse(session, sorted(refused.items()), cohort=cohort.id)
        cohorts.close_cohort(
            session,
            cohort.id,
            now=now,
            window_ends_at=window_ends_at,
            churned=len(candidates),
        )
    treated = sum(each.arm is Arm.TREATED for each in new)
    result = EnrolResult(
        campaign.name,
        cohort.number,
        len(candidates),
        treated,
        len(new) - treated,
        dict(sorted(Counter(map(str, refused.values())).items())),
    )
    logger.info("enrolled", **result._asdict())
    return result


def candidates_of(
    session: Session, campaign: str, scored_as_of: datetime, *, now: datetime
) -> list[Candidate]:
    """Return the churned accounts with what is known of them; who may be enrolled?"""
    found = enrolments.candidates(
        session,
        campaign,
        scored_as_of=scored_as_of,
        model=goes_by(session, campaign),
        now=now,
    )
    if model_versions.active(session, ModelKind.UPLIFT) is None:
        # Scores outlive the model that was retired since: nobody goes by it.
        return [replace(each, uplift=None) for each in found]
    return found


def lacks_scores(session: Session, campaign: str, *, now: datetime) -> bool:
    """Say whether the latest scores are all by other models than the campaign's.

    So it is once a model was promoted or pinned, until accounts are scored again.
    """
    model, latest = goes_by(session, campaign), scores.latest_batch(session, before=now)
    if model is None or latest is None:
        return False
    return not scores.has(session, latest, model=model)


def goes_by(session: Session, campaign: str) -> str | None:
    """Return the model whose segments a campaign goes by: its own, or the used one."""
    pinned = campaigns.model_of(session, campaign)
    if pinned is not None:
        return pinned
    used = model_versions.active(session, ModelKind.SEGMENTS)
    return used.version if used else None


def choose(
    session: Session,
    campaign: CampaignDefinition,
    candidates: list[Candidate],
    programme: Programme,
    now: datetime,
) -> tuple[list[Chosen], dict[str, EnrolmentRefusal]]:
    """Return who may be enrolled, each with a contact, and who may not and why.

    Arms are not looked at, so both lose accounts to the same rules. Where a cohort is
    full, those come first whom a mail helps most and, where nobody knows, those who
    left last: they return most easily. The others come in a later cohort.
    """
    policy = programme.policy
    contacts = records.contacts_of(
        session, [each.account for each in candidates], now=now
    )
    taken = enrolments.addresses_in_use(session, campaign.name)
    refused: dict[str, EnrolmentRefusal] = {}
    chosen: list[Chosen] = []
    for each in sorted(candidates, key=partial(_place, programme)):
        mine = contacts.get(each.account, [])
        reason = refusal_of(each, audience=campaign.audience, contacts=mine, now=now)
        free = [contact for contact in mine if contact.address_hash not in taken]
        if reason is None and all(contact.is_suppressed for contact in free):
            reason = EnrolmentRefusal.ADDRESS_TAKEN
        if reason is None and policy.leaves_alone(
            each.uplift, key=programme.holdout_key, episode=each.episode
        ):
            reason = EnrolmentRefusal.NOT_HELPED
        if reason is not None:
            refused[each.account] = reason
            continue
        contact, choice = choose_contact(free)
        taken.add(contact.address_hash)
        chosen.append(Chosen(each, contact, choice))
    room = draw(programme.holdout_key, "room", campaign.name, now.isoformat())
    kept = _with_room(chosen, campaign.caps.accounts_per_cohort, policy, room)
    late = {e.candidate.account for e in chosen} - {e.candidate.account for e in kept}
    refused |= dict.fromkeys(late, EnrolmentRefusal.COHORT_FULL)
    return sorted(kept, key=lambda each: each.candidate.account), refused


def _place(programme: Programme, candidate: Candidate) -> tuple[object, ...]:
    """Return what puts candidates in order: those tried come last, by their lots."""
    if not programme.policy.is_worth_it(candidate.uplift):
        return True, lot(programme.holdout_key, candidate.episode)
    helped, left_at = candidate.uplift or 0.0, candidate.churned_at.timestamp()
    return False, -helped, -left_at, candidate.account


def _with_room(
    chosen: list[Chosen], limit: int | None, policy: Policy, part: float
) -> list[Chosen]:
    """Return those that a cohort has room for: the first helped, and the first tried.

    Each kind gets room by its number, so a chance to be tried stays what it is: those
    without room come in a later cohort. `part`, from 0 to 1, is the lot that decides
    of a part of a place.
    """
    if limit is None or len(chosen) <= limit:
        return chosen
    tried = [e for e in chosen if not policy.is_worth_it(e.candidate.uplift)]
    helped = len(chosen) - len(tried)
    room = floor(limit * len(tried) / len(chosen) + part)
    room = min(max(room, limit - helped), len(tried))
    return chosen[: limit - room] + tried[:room]


def _arms(
    session: Session,
    chosen: list[Chosen],
    cohort: Cohort,
    programme: Programme,
    now: datetime,
) -> tuple[dict[str, Arm], dict[str, str], list[str]]:
    """Return arm and stratum of each chosen account, and those that have none."""
    stratum_of = {
        each.candidate.account: holdout_stratum(
            each.candidate.segment, each.candidate.churned_at, now=now
        )
        for each in chosen
    }
    arm_of = enrolments.arms_of_programme(session)
    everyone = enrolments.addresses(session)
    addresses = {
        account: everyone[account]
        for account in {*stratum_of, *arm_of}
        if account in everyone
    }
    units, torn = units_by_address(addresses, stratum_of=stratum_of, arm_of=arm_of)
    arms = assign_arms(
        units,
        key=programme.holdout_key,
        batch=f"{cohort.campaign}/{cohort.number}",
        holdout_share=programme.holdout_share,
    )
    new = {account: arm for account, arm in arms.items() if account not in arm_of}
    enrolments.assign(
        session,
        new,
        stratum_of=stratum_of,
        holdout_chance=programme.holdout_share,
        now=now,
    )
    return arms, stratum_of, torn


def _enrolment(
    each: Chosen,
    arms: dict[str, Arm],
    stratum_of: dict[str, str],
    campaign: CampaignDefinition,
    programme: Programme,
    now: datetime,
) -> NewEnrolment:
    candidate = each.candidate
    zone = each.contact.time_zone or candidate.time_zone
    return NewEnrolment(
        account=candidate.account,
        episode=candidate.episode,
        contact=each.contact,
        contact_choice=each.choice,
        arm=arms[candidate.account],
        segment=candidate.segment or "",
        stratum=stratum_of[candidate.account],
        persona=candidate.persona,
        score=candidate.score,
        due_at=due_times(
            now,
            zone=zone_or(zone, programme.default_time_zone),
            schedule=campaign.schedule,
            steps=campaign.steps,
        ),
        texts=texts_of(
            campaign.steps,
            key=programme.holdout_key,
            campaign=campaign.name,
            account=candidate.account,
        ),
        chance=programme.policy.chance(candidate.uplift),
    )
