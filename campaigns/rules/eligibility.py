"""Who may be enrolled, by whom of an account, and who may be written to right now.

Two questions, asked in two places: at enrolment, where each refusal has one reason,
and at the gate, which every message passes twice, when it is claimed and again in the
transaction that records its posting.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from campaigns.domain.campaign import Audience
from campaigns.domain.values import Candidate, CandidateContact, GateFacts
from campaigns.domain.words import (
    Arm,
    CampaignState,
    ContactChoice,
    EnrolmentRefusal,
    MessageState,
    SkipReason,
)
from campaigns.rules.timetable import next_slot

DORMANCY_BANDS: Final = ((30, "0-29 days"), (90, "30-89 days"), (180, "90-179 days"))
LONGEST_DORMANCY: Final = "180 days and more"
DORMANCIES: Final = (*(name for _, name in DORMANCY_BANDS), LONGEST_DORMANCY)
_BETWEEN: Final = " · "


def dormancy_band(churned_at: datetime, *, now: datetime) -> str:
    """Return the band of days since churn: part of the holdout's stratum."""
    days = (now - churned_at).days
    return next(
        (name for limit, name in DORMANCY_BANDS if days < limit), LONGEST_DORMANCY
    )


def holdout_stratum(segment: str | None, churned_at: datetime, *, now: datetime) -> str:
    """Return the stratum of an account: within it the holdout is drawn."""
    return f"{segment}{_BETWEEN}{dormancy_band(churned_at, now=now)}"


def dormancy_of(stratum: str) -> str:
    """Return the dormancy band of a stratum.

    >>> dormancy_of("never-activated · 30-89 days")
    '30-89 days'
    """
    return stratum.rpartition(_BETWEEN)[2]


def refusal_of(
    candidate: Candidate,
    *,
    audience: Audience,
    contacts: Sequence[CandidateContact],
    now: datetime,
) -> EnrolmentRefusal | None:
    """Return why `candidate` may not be enrolled, or None if it may.

    The first reason that holds is given, so every refusal has exactly one.
    """
    days = (now - candidate.churned_at).days
    latest = audience.churned_days_max
    is_unwanted = (
        audience.segments is not None and candidate.segment not in audience.segments
    )
    reasons = (
        (candidate.enrolled_here, EnrolmentRefusal.ALREADY_ENROLLED),
        (candidate.enrolled_elsewhere, EnrolmentRefusal.IN_ANOTHER_CAMPAIGN),
        (candidate.score is None, EnrolmentRefusal.NOT_SCORED),
        (is_unwanted, EnrolmentRefusal.SEGMENT_NOT_WANTED),
        (days < audience.churned_days_min, EnrolmentRefusal.CHURNED_TOO_RECENTLY),
        (
            latest is not None and days > latest,
            EnrolmentRefusal.CHURNED_TOO_LONG_AGO,
        ),
        (not contacts, EnrolmentRefusal.NO_CONTACT),
        (
            all(contact.is_suppressed for contact in contacts),
            EnrolmentRefusal.ALL_CONTACTS_SUPPRESSED,
        ),
    )
    return next((reason for holds, reason in reasons if holds), None)


def choose_contact(
    contacts: Sequence[CandidateContact],
) -> tuple[CandidateContact, ContactChoice]:
    """Return the one contact to write to, and why that one.

    The person who used the product last knows best what was missed; failing that an
    administrator can act on it; failing that the first by id, so that the choice is
    the same on every run. `contacts` must hold one that is not suppressed.
    """
    open_ones = sorted(
        (c for c in contacts if not c.is_suppressed), key=lambda contact: contact.id
    )
    if len(open_ones) == 1:
        return open_ones[0], ContactChoice.ONLY_CONTACT
    active = [c for c in open_ones if c.last_active_at is not None]
    if active:
        latest = max(c.last_active_at for c in active if c.last_active_at)
        chosen = next(c for c in active if c.last_active_at == latest)
        return chosen, ContactChoice.MOST_RECENTLY_ACTIVE
    administrator = next((c for c in open_ones if c.is_admin), None)
    if administrator:
        return administrator, ContactChoice.ADMINISTRATOR
    return open_ones[0], ContactChoice.FIRST_BY_ID


@dataclass(slots=True)
class Admitted:
    """What the gate said of some messages.

    Attributes:
        go: May be posted now, in order.
        never: Will never be, by the reason.
        later: Must wait, by when they are looked at again.
    """

    go: list[GateFacts] = field(default_factory=list)
    never: dict[SkipReason, list[int]] = field(default_factory=dict)
    later: dict[datetime, list[int]] = field(default_factory=dict)


def admit(messages: Iterable[GateFacts], *, now: datetime) -> Admitted:
    """Say which of some messages may go now; each that may counts for the next."""
    admitted = Admitted()
    going: Counter[str] = Counter()
    for facts in messages:
        no = final_no(facts, now=now)
        ahead = going[facts.campaign]
        until = None if no else not_before(facts, ahead=ahead, now=now)
        if no is not None:
            admitted.never.setdefault(no, []).append(facts.message)
        elif until is not None:
            admitted.later.setdefault(until, []).append(facts.message)
        else:
            going[facts.campaign] += 1
            admitted.go.append(facts)
    return admitted


def final_no(facts: GateFacts, *, now: datetime) -> SkipReason | None:
    """Return why a message will never be posted, or None if nothing forbids it."""
    never_sent = {
        MessageState.REFUSED,
        MessageState.SKIPPED,
        MessageState.DROPPED,
    }
    reasons = (
        (facts.is_suppressed, SkipReason.SUPPRESSED),
        (facts.arm is not Arm.TREATED, SkipReason.HELD_OUT),
        (facts.has_returned, SkipReason.ALREADY_BACK),
        (now >= facts.window_ends_at, SkipReason.WINDOW_CLOSED),
        (facts.previous_state in never_sent, SkipReason.SEQUENCE_BROKEN),
    )
    return next((reason for holds, reason in reasons if holds), None)


def not_before(facts: GateFacts, *, now: datetime, ahead: int = 0) -> datetime | None:
    """Return when a message that must wait is looked at again; None if it may go.

    A campaign that does not run, or has sent its mails for today, waits, as does one of
    whose first mails too little is known. So does a mail to somebody who asked for a
    rest, one outside its contact's hours, one that was made for an address that its
    contact has no more or that is another account's, and a later step until the step
    before it is known to be accepted and its days have passed.

    Args:
        facts: What is known of it.
        now: The moment it would be posted at.
        ahead: How many mails of its campaign go with it that are not counted yet.
    """
    if facts.campaign_state is not CampaignState.RUNNING:
        return now + timedelta(minutes=1)
    if facts.snoozed_until is not None and facts.snoozed_until > now:
        return min(facts.snoozed_until, facts.window_ends_at)
    opens_at = next_slot(now, zone=ZoneInfo(facts.time_zone), schedule=facts.schedule)
    if opens_at > now:
        return opens_at
    if facts.is_anothers:
        return min(now + timedelta(days=1), facts.window_ends_at)
    if facts.has_moved and facts.state is MessageState.CLAIMED:
        return now
    return _after_previous(facts, now) or _within_limits(facts, now, ahead)


def _within_limits(facts: GateFacts, now: datetime, ahead: int) -> datetime | None:
    """Return when the campaign may post more; None if it may now."""
    if facts.may_post is not None and facts.posted + ahead >= facts.may_post:
        return now + timedelta(minutes=1)
    today = facts.mails_today + ahead
    if facts.mails_per_day is not None and today >= facts.mails_per_day:
        return (now + timedelta(days=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
    return None


def _after_previous(facts: GateFacts, now: datetime) -> datetime | None:
    """Return when the step before is far enough away; None if it is."""
    if facts.previous_state is None:
        return None
    if facts.previous_state is not MessageState.ACCEPTED:
        return now + timedelta(hours=1)
    settled = facts.previous_settled_at or now
    free_at = settled + timedelta(days=facts.days_after_previous)
    # Half a day of tolerance: a slot on the same local day of a later week may be
    # some hours nearer than whole days.
    return free_at if now < free_at - timedelta(hours=12) else None
