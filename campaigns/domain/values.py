"""What passes between steps, rules and rooms."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from campaigns.domain.campaign import Schedule
from campaigns.domain.words import (
    Arm,
    Bounce,
    CampaignState,
    ContactChoice,
    EventKind,
    MessageState,
    Mismatch,
    ReturnKind,
)
from campaigns.errors import SendError

_NO_LIMIT: Final = 10**9


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row of input that was not taken, and why."""

    file: str
    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What became of the rows of one file; the three add up to `rows`."""

    taken: int = 0
    unchanged: int = 0
    rejected: int = 0

    @property
    def rows(self) -> int:
        """Every row of the file."""
        return self.taken + self.unchanged + self.rejected


@dataclass(frozen=True, slots=True)
class AccountActivity:
    """What is known of an account's payments and use before a moment."""

    account: str
    subscriptions: tuple["SubscriptionSpan", ...] = ()
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionSpan:
    """A subscription as far as churn and return are concerned."""

    started_at: datetime
    ended_at: datetime | None = None
    end_kind: str | None = None
    plan_is_free: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """One absence of an account: from its churn to its return."""

    id: int
    account: str
    sequence: int
    churned_at: datetime
    returned_at: datetime | None = None
    return_kind: ReturnKind | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """That an account came back, how, and when."""

    account: str
    at: datetime
    kind: ReturnKind


@dataclass(frozen=True, slots=True)
class Score:
    """What is thought of a churned account as of a date.

    Attributes:
        account: Which.
        segment: How it used the product.
        confidence: Of the segment, from 0 to 1.
        reasons: For the segment, in words.
        facts: What a mail may mention of it.
        chance: That it comes back unprompted within the window; None before a model of
            that was trained.
        uplift: What a mail adds to that chance; None while no model of that is used.
    """

    account: str
    segment: str
    confidence: float
    reasons: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    chance: float | None = None
    uplift: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A churned account that a campaign looks at."""

    account: str
    episode: int
    churned_at: datetime
    time_zone: str | None
    persona: str | None
    segment: str | None
    score: int | None
    uplift: float | None
    enrolled_here: bool
    enrolled_elsewhere: bool


@dataclass(frozen=True, slots=True)
class CandidateContact:
    """A person who could be written to; one at rest counts as suppressed."""

    id: str
    account: str
    address_hash: str
    is_admin: bool
    last_active_at: datetime | None
    time_zone: str | None
    is_suppressed: bool


@dataclass(frozen=True, slots=True)
class NewEnrolment:
    """An account that enters a campaign, in an arm, by one contact.

    Its chance is the one it had of entering: below 1 where a lot let it in.
    """

    account: str
    episode: int
    contact: CandidateContact
    contact_choice: ContactChoice
    arm: Arm
    segment: str
    stratum: str
    persona: str | None
    score: int | None
    due_at: tuple[datetime, ...]
    texts: tuple[str, ...]
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Cohort:
    """One planned enrolment of a campaign."""

    id: int
    campaign: str
    number: int
    due_at: datetime
    enrolled_at: datetime | None


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """A campaign's name, state and how far it is."""

    name: str
    version: int
    state: CampaignState
    enrolled: dict[str, int]
    refused: dict[str, int]
    messages: dict[str, int]
    skipped: dict[str, int]
    unmade: dict[str, int]
    cohorts_planned: int
    cohorts_enrolled: int
    next_cohort_at: datetime | None
    paused_at: datetime | None
    paused_because: str | None
    may_post: int | None


class Recipient(NamedTuple):
    """Who got a mail, as a link in it or its tags say.

    Attributes:
        message: The number of its message. A database that was restored gives numbers
            out again, or may not know this one.
        address_hash: The keyed hash of its address, which still holds then; None in
            mails of before it was told.
    """

    message: int
    address_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message in a worker's hands, with what its mail is made from."""

    id: int
    address_hash: str
    campaign: str
    step: int
    template: str
    account: str
    address: str
    churned_at: datetime
    first_name: str | None
    account_name: str
    segment: str
    reasons: Sequence[str]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the gate needs to know of a message; read in the caller's transaction.

    `has_moved` says that its contact has another address than when it was planned or
    claimed, `is_anothers` that another account's mail goes there, or none may.
    """

    message: int
    campaign: str
    state: MessageState
    campaign_state: CampaignState
    arm: Arm
    has_moved: bool
    is_anothers: bool
    is_suppressed: bool
    snoozed_until: datetime | None
    has_returned: bool
    window_ends_at: datetime
    previous_state: MessageState | None
    previous_settled_at: datetime | None
    days_after_previous: int
    mails_today: int
    mails_per_day: int | None
    posted: int
    may_post: int | None
    time_zone: str
    schedule: Schedule

    @property
    def is_metered(self) -> bool:
        """Whether it must be counted how many mails its campaign posts."""
        return self.may_post is not None or self.mails_per_day is not None


class Picture(NamedTuple):
    """A picture that a mail brings along and shows.

    Attributes:
        name: What the mail's HTML calls it: `cid:name`.
        png: Its content.
    """

    name: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Email:
    """A mail that is ready for SES."""

    to: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    tags: dict[str, str]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of one POST to SES."""

    message: int
    attempt: int
    state: MessageState
    ses_message_id: str | None = None
    reason: str | None = None
    not_before: datetime | None = None
    cause: SendError | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One event of SES, translated; the raw body is kept beside it.

    It is an approval if a person said that the mail is no spam: a complaint's opposite.
    """

    kind: EventKind | None
    ses_message_id: str
    tags: dict[str, str]
    recipients: tuple[str, ...]
    at: datetime
    mail_at: datetime
    bounce: Bounce | None = None
    is_machine: bool = False
    is_approval: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as it came out of the queue.

    Attributes:
        receipt: What the queue deletes it by.
        envelope_id: What it was sent under; its body's hash after `UNREAD` if unknown.
        raw: Its body, as it came.
        event: What it says; None if that was not understood.
    """

    receipt: str
    envelope_id: str
    raw: str
    event: ProviderEvent | None


UNREAD: Final = "unread-"
"""What the id of an event begins with whose body says nothing that is understood."""


@dataclass(frozen=True, slots=True)
class SendingQuota:
    """What SES allows, and how much of it is used."""

    max_per_second: float
    max_per_day: float
    sent_last_day: float
    is_enabled: bool = True

    @property
    def left_today(self) -> int:
        """How many mails may still go out in the running 24 hours."""
        if self.max_per_day < 0:  # Amazon's way to say: without limit
            return _NO_LIMIT
        return max(0, int(self.max_per_day - self.sent_last_day))


@dataclass(frozen=True, slots=True)
class ArmCount:
    """How many accounts of an arm were enrolled and how many of them came back."""

    accounts: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class CohortCount:
    """One cohort's counts by arm, segment, dormancy and persona."""

    campaign: str
    cohort: int
    enrolled_at: datetime
    window_ends_at: datetime
    arm: Arm
    segment: str
    dormancy: str
    persona: str | None
    accounts: int
    returned: int


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message whose fate is not known."""

    id: int
    campaign: str
    account: str
    step: int
    state: MessageState
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReleaseNote:
    """A product change that a mail may mention."""

    date: date
    title: str
    text: str
    tags: tuple[str, ...]
    url: str | None


@dataclass(frozen=True, slots=True)
class Mismatched:
    """A message about which the ledger and SES's events disagree.

    Attributes:
        message: Its number.
        campaign: Whose it is.
        mismatch: In what.
        state: What the ledger says.
        posted_at: When it was last posted.
    """

    message: int
    campaign: str
    mismatch: Mismatch
    state: MessageState
    posted_at: datetime | None
