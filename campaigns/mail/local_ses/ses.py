"""SES itself: what is sent, and what the account, its identities and lists allow."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.clock import Clock
from campaigns.mail.local_ses import composing, refusals, stationery
from campaigns.mail.local_ses.events import TakenMail, events_of
from campaigns.mail.local_ses.faults import FaultRequest, Faults, disturbed
from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.refusals import RefusedError

IDENTITIES: Final = "identities"
CONFIGURATION_SETS: Final = "configuration sets"
TEMPLATES: Final = "templates"
SUPPRESSED: Final = "suppressed destinations"
_ACCOUNT: Final = "account"
_SECOND: Final = timedelta(seconds=1)
_MOST_ENTRIES: Final = 50
_NO_LIMIT: Final = -1
_STATUS_OF: Final = {
    "TooManyRequestsException": "ACCOUNT_THROTTLED",
    "SendingPausedException": "ACCOUNT_SENDING_PAUSED",
    "MessageRejected": "MESSAGE_REJECTED",
    "NotFoundException": "TEMPLATE_NOT_FOUND",
}
"""What a refusal of one entry of a bulk call is called in its answer."""


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
    _last_second: deque[datetime] = field(default_factory=deque)

    def send_email(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take one mail, or refuse it as SES would."""
        self._check_account(now)
        mail = composing.compose(request, self.template)
        self._check_mail(mail)
        return {"MessageId": self._take(mail, now)}

    def send_bulk(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Take a mail for each entry; each entry has its own answer."""
        entries = request.get("BulkEmailEntries") or []
        default = (request.get("DefaultContent") or {}).get("Template")
        if not default or not 1 <= len(entries) <= _MOST_ENTRIES:
            raise refusals.bad_request(
                f"A default template and 1 to {_MOST_ENTRIES} entries are needed."
            )
        results = [self._of_entry(request, default, each, now) for each in entries]
        return {"BulkEmailEntryResults": results}

    def _of_entry(
        self,
        request: Mapping[str, Any],
        default: Mapping[str, Any],
        entry: Mapping[str, Any],
        now: datetime,
    ) -> dict[str, Any]:
        replacement = entry.get("ReplacementEmailContent") or {}
        data = (replacement.get("ReplacementTemplate") or {}).get(
            "ReplacementTemplateData"
        )
        tags = {t["Name"]: t["Value"] for t in request.get("DefaultEmailTags") or []}
        tags |= {t["Name"]: t["Value"] for t in entry.get("ReplacementTags") or []}
        headers = entry.get("ReplacementHeaders") or default.get("Headers") or []
        template = {**default, "Headers": headers}
        # As SES has it: an entry with `{}` takes the default's values.
        if data is not None and stationery.data_of(data):
            template["TemplateData"] = data
        single = {
            **request,
            "Destination": entry.get("Destination"),
            "EmailTags": [{"Name": n, "Value": v} for n, v in tags.items()],
            "Content": {"Template": template},
        }
        try:
            taken = self.send_email(single, now)
        except RefusedError as refusal:
            status = _STATUS_OF.get(refusal.code, "INVALID_PARAMETER")
            if "quota" in refusal.message:
                status = "ACCOUNT_DAILY_QUOTA_EXCEEDED"
            return {"Status": status, "Error": refusal.message}
        return {"Status": "SUCCESS", **taken}

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
        suppressed = self.outbox.things(SUPPRESSED)
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
        )
        self._last_second.append(now)
        return message_id

    def _check_account(self, now: datetime) -> None:
        if not self.is_enabled:
            raise refusals.paused()
        while self._last_second and self._last_second[0] <= now - _SECOND:
            self._last_second.popleft()
        if len(self._last_second) >= self.limits.max_per_second:
            raise refusals.throttled()
        most = self.limits.max_per_day
        if most != _NO_LIMIT and self.outbox.sent_last_day(now) >= most:
            raise refusals.throttled("Daily message quota exceeded.")

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
        if known and not {spec, address.domain.casefold()} & {
            k.casefold() for k in known
        }:
            raise RefusedError(
                "MessageRejected",
                "Email address is not verified. The following identities failed the "
                f"check in region LOCAL: {address.addr_spec}",
            )

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
            raise refusals.not_found(f"Configuration set <{name}>")
        return {
            "ConfigurationSetName": name,
            "SendingOptions": {"SendingEnabled": True},
            **(kept or {}),
        }

    def template(self, name: str) -> dict[str, Any]:
        """Return a template's content."""
        kept = self.outbox.thing(TEMPLATES, name)
        if kept is None:
            raise refusals.not_found(f"Template {name}")
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
