"""The words that are stored, each with its meaning."""

from enum import StrEnum
from typing import Final


class Arm(StrEnum):
    """Whether an account may be written to."""

    TREATED = "treated"
    HOLDOUT = "holdout"


class EndKind(StrEnum):
    """Why a subscription ended."""

    VOLUNTARY = "voluntary"
    DUNNING = "dunning"
    MERGED = "merged"
    UPGRADED = "upgraded"


class UsageOutcome(StrEnum):
    """Whether what the account tried worked."""

    OK = "ok"
    FAILED = "failed"


class CampaignState(StrEnum):
    """Where a campaign is."""

    APPLIED = "applied"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"


class MessageState(StrEnum):
    """Where a message is in our hands (the edges are in rules/message_state)."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    POSTING = "posting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    HELD = "held"
    DROPPED = "dropped"


class Delivery(StrEnum):
    """What SES's events say became of a message, kept apart from its state."""

    NONE = "none"
    SENT = "sent"
    BOUNCED = "bounced"
    DELIVERED = "delivered"
    COMPLAINED = "complained"


class EventKind(StrEnum):
    """What SES tells about a message."""

    SEND = "Send"
    DELIVERY = "Delivery"
    DELIVERY_DELAY = "DeliveryDelay"
    BOUNCE = "Bounce"
    COMPLAINT = "Complaint"
    REJECT = "Reject"
    OPEN = "Open"
    CLICK = "Click"
    RENDERING_FAILURE = "Rendering Failure"
    SUBSCRIPTION = "Subscription"


class Bounce(StrEnum):
    """Which kind of bounce a mail had."""

    HARD = "hard"  # for good: there is no such mailbox
    SOFT = "soft"  # for now: it is full, or away
    ON_SES_LIST = "on_ses_list"  # SES did not try: its own list has the address


class SesTotal(StrEnum):
    """What SES counts of an account's mails, day by day, by its own names."""

    SEND = "SEND"
    DELIVERY = "DELIVERY"
    PERMANENT_BOUNCE = "PERMANENT_BOUNCE"  # without those its own list refused
    TRANSIENT_BOUNCE = "TRANSIENT_BOUNCE"
    COMPLAINT = "COMPLAINT"


class Mismatch(StrEnum):
    """In what the ledger and SES's events disagree about a message."""

    NO_SEND_EVENT = "no_send_event"  # SES said yes, and no event confirms it
    IN_DOUBT = "in_doubt"  # SES may have taken it
    TAKEN_AGAIN = "taken_again"  # SES took it more than once
    NOT_ACCEPTED = "not_accepted"  # SES took it, and the ledger does not say so


class SuppressionReason(StrEnum):
    """Why an address may not be written to."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"  # one after the other
    ON_SES_LIST = "on_ses_list"  # by SES's own list, and not by ours
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    MANUAL = "manual"
    ERASED = "erased"


class EnrolmentRefusal(StrEnum):
    """Why a churned account was not enrolled; each refusal has exactly one."""

    ALREADY_ENROLLED = "already_enrolled"
    IN_ANOTHER_CAMPAIGN = "in_another_campaign"
    NOT_SCORED = "not_scored"
    SEGMENT_NOT_WANTED = "segment_not_wanted"
    CHURNED_TOO_RECENTLY = "churned_too_recently"
    CHURNED_TOO_LONG_AGO = "churned_too_long_ago"
    NO_CONTACT = "no_contact"
    ALL_CONTACTS_SUPPRESSED = "all_contacts_suppressed"
    ADDRESS_TAKEN = "address_taken"
    SHARES_ADDRESSES_WITH_BOTH_ARMS = "shares_addresses_with_both_arms"
    NOT_HELPED = "not_helped"  # a mail is not expected to help it
    COHORT_FULL = "cohort_full"


class SkipReason(StrEnum):
    """A final no: why a planned message will never be posted."""

    SUPPRESSED = "suppressed"
    HELD_OUT = "held_out"
    ALREADY_BACK = "already_back"
    SEQUENCE_BROKEN = "earlier_step_not_sent"
    WINDOW_CLOSED = "window_closed"


class ContactChoice(StrEnum):
    """Why this contact and no other of the account was chosen."""

    MOST_RECENTLY_ACTIVE = "most_recently_active"
    ADMINISTRATOR = "administrator"
    ONLY_CONTACT = "only_contact"
    FIRST_BY_ID = "first_by_id"


class ReturnKind(StrEnum):
    """How an account came back."""

    PAID = "paid"
    USED = "used"
    RESUBSCRIBED = "resubscribed"  # within the grace of its end: never really away
    MERGED = "merged"  # another account was merged into it

    @property
    def is_win_back(self) -> bool:
        """Whether a mail can have brought it about."""
        return self in WIN_BACKS


WIN_BACKS: Final = (ReturnKind.PAID, ReturnKind.USED)


class Verdict(StrEnum):
    """What a campaign's report may claim."""

    CANNOT_TELL_YET = "cannot_tell_yet"
    WORKS = "works"
    HARMS = "harms"
    LIFT_CHANGED = "lift_changed"
    NO_DIFFERENCE_SHOWN = "no_difference_shown"
    TOO_FEW = "too_few"  # accounts: the numbers leave room for anything
    NO_HOLDOUT = "no_holdout"
    MISMATCH = "mismatch"  # the arms that are measured are not those that were drawn
    STALE_DATA = "stale_data"  # nobody knows who came back lately
    TOO_GOOD = "too_good"  # to be believed before somebody looked at the data


class ModelAction(StrEnum):
    """What was decided about a model."""

    TRAINED = "trained"  # it is there, and nothing goes by it yet
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    RETIRED = "retired"  # none of its kind is used


class ModelKind(StrEnum):
    """What a model is of."""

    SEGMENTS = "segments"
    PROPENSITY = "propensity"
    UPLIFT = "uplift"
