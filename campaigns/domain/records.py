"""What sources bring in: one frozen, validated value per record.

A source of any kind yields these and nothing else. Times are aware; money is in minor
units with an ISO currency. Validation happens when a value is built, so a record that
exists is a good one.
"""

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from campaigns.domain.words import EndKind, SuppressionReason, UsageOutcome

_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")
_SPACES: Final = str.maketrans(
    dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f", " ")
)


def _as_text(value: object) -> object:
    """Numbers are names too, and spaces that only typesetting tells apart are one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.translate(_SPACES) if isinstance(value, str) else value


def _without_control_characters(text: str) -> str:
    # Joiners belong to the spelling of names in several scripts; marks that turn the
    # direction of what follows, and all else that cannot be seen, do not.
    if not text.translate(_JOINERS).isprintable():
        raise ValueError("contains a control or invisible character")
    return text


@lru_cache(maxsize=100_000)
def email_address(text: str) -> str:
    """Return an address in its normal form.

    Raises:
        ValueError: It is none.
    """
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from error


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    # These two are no place: one has no rule, the other is the machine's own.
    return frozenset(available_timezones() - {"Factory", "localtime"})


def zone_name(text: str) -> str:
    """Return the name of a time zone as it is.

    Raises:
        ValueError: It is none of the IANA database.
    """
    if text not in _zone_names():
        raise ValueError("is not an IANA time zone such as Europe/Berlin")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is too far away to be a time") from error


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    return text


Id = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_control_characters),
]
Line = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_without_control_characters),
]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
EmailAddress = Annotated[str, AfterValidator(email_address)]
ZoneName = Annotated[str, AfterValidator(zone_name)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
MinorUnits = Annotated[int, Field(ge=0, le=10**15)]


class Record(BaseModel):
    """What every record shares: frozen, and closed to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(Record):
    """A company that uses, or used, the product."""

    id: Id
    name: Line
    created_at: Moment | None = None
    persona: Line | None = None
    account_segment: Line | None = None
    country: Line | None = None
    time_zone: ZoneName | None = None
    locale: Line | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)


class Contact(Record):
    """A person at an account."""

    id: Id
    account: Id
    email: EmailAddress
    first_name: Line | None = None
    last_name: Line | None = None
    role: Line | None = None
    is_admin: bool = False
    last_active_at: Moment | None = None
    country: Line | None = None
    time_zone: ZoneName | None = None
    locale: Line | None = None
    consent_basis: Line | None = None
    consent_at: Moment | None = None
    consent_evidence: Line | None = None


class Subscription(Record):
    """A contract of an account, with how it ended if it did."""

    id: Id
    account: Id
    plan: Line
    plan_is_free: bool = False
    seats: Annotated[int, Field(ge=0, le=10**9)] | None = None
    mrr_minor: MinorUnits | None = None
    currency: Currency | None = None
    started_at: Moment
    ended_at: Moment | None = None
    end_kind: EndKind | None = None
    end_reason: Line | None = None
    discount_minor: MinorUnits | None = None
    merged_into: Id | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Subscription":
        if self.ended_at and self.ended_at < self.started_at:
            raise ValueError("ended_at is before started_at")
        if self.mrr_minor is not None and self.currency is None:
            raise ValueError("mrr_minor needs a currency")
        return self


class Usage(Record):
    """Something an account did, or tried to do, in the product."""

    id: Id | None = None
    account: Id
    at: Moment
    feature: Line
    contact: Id | None = None
    count: Annotated[int, Field(ge=1, le=10**12)] = 1
    outcome: UsageOutcome = UsageOutcome.OK
    properties: dict[str, Any] = Field(default_factory=dict)


class Ticket(Record):
    """A question or complaint that an account brought to support."""

    id: Id
    account: Id
    opened_at: Moment
    closed_at: Moment | None = None
    topic: Line | None = None

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> "Ticket":
        if self.closed_at and self.closed_at < self.opened_at:
            raise ValueError("closed_at is before opened_at")
        return self


class Nps(Record):
    """An answer to "would you recommend us?"; `contact` is empty if unknown."""

    account: Id
    at: Moment
    score: Annotated[int, Field(ge=0, le=10)]
    contact: Id | Literal[""] = ""


class Mailing(Record):
    """A mail that another tool sent to somebody at an account, to win it back."""

    account: Id
    at: Moment


class Suppression(Record):
    """An address that must not be written to: itself, or its keyed hash."""

    email: EmailAddress | None = None
    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    reason: SuppressionReason
    at: Moment

    @model_validator(mode="after")
    def _names_one_address(self) -> "Suppression":
        if (self.email is None) == (self.hash is None):
            raise ValueError("give either email or hash")
        return self


class Label(Record):
    """What a person says an account's segment was, as of a date."""

    account: Id
    segment: Id
    as_of: Moment
    by: Id
    note: Line | None = None


class Release(Record):
    """A dated change of the product, for "since you left"."""

    id: Id
    date: date
    title: Line
    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1),
        AfterValidator(_without_nul),
    ]
    tags: tuple[Id, ...] = ()
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None


RECORDS: Final[dict[str, type[Record]]] = {
    "suppressions": Suppression,
    "accounts": Account,
    "contacts": Contact,
    "subscriptions": Subscription,
    "tickets": Ticket,
    "nps": Nps,
    "mailings": Mailing,
    "usage": Usage,
    "labels": Label,
    "releases": Release,
}
"""Every kind, in the order they are imported in: what others need comes first."""

HAPPENED_AT: Final = {
    "tickets": "opened_at",
    "nps": "at",
    "mailings": "at",
    "usage": "at",
}
"""When a record happened, for kinds that cannot lie in the future."""

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Nothing of a product's life is older: an earlier time is a wrong unit, or none."""


def zone_or(name: str | None, fallback: str) -> ZoneInfo:
    """Return the zone called `name`, or the one called `fallback` if None."""
    return ZoneInfo(name or fallback)
