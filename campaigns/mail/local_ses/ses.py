"""SES itself: what is sent, and what the account, its identities and lists allow."""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.clock import Clock
from campaigns.mail.local_ses import bulk, composing, refusals
from campaigns.mail.local_ses.events import TakenMail, counted, events_of
from campaigns.mail.local_ses.faults import FaultRequest, Faults, disturbed
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.refusals import RefusedError

IDENTITIES: Final = "identities"
CONFIGURATION_SETS: Final = "configuration sets"
TEMPLATES: Final = "templates"
SUPPRESSED: Final = "suppressed destinations"
_ACCOUNT: Final = "account"
_SECOND: Final = timedelta(seconds=1)
_NO_LIMIT: Final = -1
_MOST_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What this SES allows.

    Attributes:
        max_per_second: MaxSendRate.
        max_per_day: Max24HourSend; -1 for no limit.
        configuration_sets: Names that exist from the start.
        identities: Addresses and domains that mails may be from; none: all.
    """

    max_per_second: float = 50
    max_per_day: float = 50_000
    configuration_sets: tuple[str, ...] = ("winback",)
    identities: tuple[str, ...] = ()


@dataclass(slots=True)
class LocalSes:
    """SES over one outbox."""

    outbox: Outbox
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    behaviours: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    _sent: list[datetime] = field(default_factory=list)

    def send_email(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take one mail, or refuse it as SES would."""
        self._check_account(now)
        mail = composing.compose(request, self.template)
        self._check_mail(mail)
        self._check_quota(len(mail.recipients), now)
        return {"MessageId": self._take(mail, now)}

    def send_bulk(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a mail for each entry; each entry has its own answer."""
        mails = bulk.mails_of(request)
        return {"BulkEmailEntryResults": [self._of_entry(each, now) for each in mails]}

    def _of_entry(
        self, mail: Mapping[str, Any] | RefusedError, now: datetime
    ) -> dict[str, Any]:
        try:
            if isinstance(mail, RefusedError):
                raise mail
            return {"Status": "SUCCESS", **self.send_email(mail, now)}
        except RefusedError as refusal:
            return {"Status": refusal.of_entry, "Error": refusal.message}

    def _take(self, mail: composing.Composed, now: datetime) -> str:
        message_id = self.outbox.next_message_id()
        composing.stamp(mail.message, message_id=message_id, at=now)
        taken = TakenMail(
            message_id,
            now,
            mail.source,
            mail.recipients,
            str(mail.message["Subject"] or ""),
            {key: str(value) for key, value in mail.message.items()},
            mail.tags,
            mail.configuration_set,
            mail.missing,
        )
        suppressed = [
            address
            for address in map(str.casefold, mail.recipients)
            if self.outbox.thing(SUPPRESSED, address)
        ]
        behaviours = self.behaviours | dict.fromkeys(suppressed, "on_suppression_list")
        # Without a configuration set there is nowhere to publish events to.
        events = events_of(taken, behaviours) if mail.configuration_set else ()
        self.outbox.keep(
            mail.message,
            message_id=message_id,
            at=now,
            recipients=mail.recipients,
            tags=mail.tags,
            events=disturbed(events, self.faults.events),
            # What gets lost on the way to a queue was counted all the same.
            counted=counted(taken, behaviours),
        )
        for _ in mail.recipients:
            insort(self._sent, now)
        return message_id

    def _check_account(self, now: datetime) -> None:
        if not self.is_enabled:
            raise refusals.paused()
        # By each client's own clock: one whose clock is early stops no other.
        recent = bisect_right(self._sent, now) - bisect_right(self._sent, now - _SECOND)
        if recent >= self.limits.max_per_second:
            raise refusals.throttled()
        if len(self._sent) > _MOST_REMEMBERED + 2 * self.limits.max_per_second:
            del self._sent[: len(self._sent) // 2]

    def _check_quota(self, recipients: int, now: datetime) -> None:
        most = self.limits.max_per_day
        if most != _NO_LIMIT and self.outbox.sent_last_day(now) + recipients > most:
            raise refusals.quota_used_up()

    def _check_mail(self, mail: composing.Composed) -> None:
        name = mail.configuration_set
        if (
            name
            and not self.configuration_set(name)["SendingOptions"]["SendingEnabled"]
        ):
            raise refusals.paused(name)
        address = composing.address_of(mail.source)
        known = self.identities()
        spec = f"{address.username}@{address.domain}".casefold()
        if known and not any(_covers(each.casefold(), spec) for each in known):
            raise refusals.not_verified(address.addr_spec)

    @property
    def is_enabled(self) -> bool:
        """Whether the account may send."""
        account = self.outbox.thing(_ACCOUNT, _ACCOUNT) or {}
        return bool(account.get("SendingEnabled", True))

    def enable(self, *, is_enabled: bool) -> dict[str, Any]:
        """Pause sending of the whole account, or let it go on."""
        self.outbox.put(_ACCOUNT, _ACCOUNT, {"SendingEnabled": is_enabled})
        return {}

    def account(self, now: datetime) -> dict[str, Any]:
        """Return quota and state, as GetAccount does."""
        return {
            "ProductionAccessEnabled": True,
            "SendingEnabled": self.is_enabled,
            "EnforcementStatus": "HEALTHY",
            "SendQuota": {
                "Max24HourSend": float(self.limits.max_per_day),
                "MaxSendRate": float(self.limits.max_per_second),
                "SentLast24Hours": float(self.outbox.sent_last_day(now)),
            },
        }

    def identities(self) -> list[str]:
        """Return the addresses and domains that mails may be from."""
        return sorted({*self.limits.identities, *self.outbox.things(IDENTITIES)})

    def configuration_set(self, name: str) -> dict[str, Any]:
        """Return a configuration set, as GetConfigurationSet does."""
        kept = self.outbox.thing(CONFIGURATION_SETS, name)
        if kept is None and name not in self.limits.configuration_sets:
            raise refusals.not_found(
                f"Configuration set <{name}>", of_entry="CONFIGURATION_SET_NOT_FOUND"
            )
        return {
            "ConfigurationSetName": name,
            "SendingOptions": {"SendingEnabled": True},
            **(kept or {}),
        }

    def template(self, name: str) -> dict[str, Any]:
        """Return a template's content."""
        kept = self.outbox.thing(TEMPLATES, name)
        if kept is None:
            raise refusals.not_found(f"Template {name}", of_entry="TEMPLATE_NOT_FOUND")
        return dict(kept["TemplateContent"])

    def be_faulty(self, request: FaultRequest) -> None:
        """Put faults in force; what is left out of the request stays as it is."""
        if request.sends is not None:
            self.faults.sends = deque(
                each.kind for each in request.sends for _ in range(each.times)
            )
        if request.events is not None:
            self.faults.events = request.events
        if request.paused is not None:
            self.enable(is_enabled=not request.paused)
        per_second, per_day = request.max_per_second, request.max_per_day
        self.limits = Limits(
            self.limits.max_per_second if per_second is None else per_second,
            self.limits.max_per_day if per_day is None else per_day,
            self.limits.configuration_sets,
            self.limits.identities,
        )


def _covers(identity: str, address: str) -> bool:
    """Say whether a verified address or domain lets mails be from an address.

    A domain covers its subdomains.
    https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
    """
    domain = address.rpartition("@")[2]
    return identity in {address, domain} or domain.endswith(f".{identity}")
