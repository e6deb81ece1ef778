"""Send the week's report to those who read it, on Monday morning where they live."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from campaigns.domain.values import Email, Picture
from campaigns.errors import OutcomeUnknownError
from campaigns.present.report import WeeklyReport, from_plain
from campaigns.store import instance, reports, suppressions
from campaigns.store.session import Sessions

_WEEK: Final = timedelta(days=7)


class Reader(NamedTuple):
    """Who gets the report.

    Attributes:
        address: Where.
        address_hash: Its keyed hash, which stands for it wherever things are kept.
        time_zone: Whose Monday it is.
    """

    address: str
    address_hash: str
    time_zone: str

    @property
    def job(self) -> str:
        """The name under which its runs are kept."""
        return f"report to {self.address_hash[:12]}"


class Letter(NamedTuple):
    """A report as a mail."""

    subject: str
    html: str
    text: str
    pictures: tuple[Picture, ...] = ()


class Distribution(NamedTuple):
    """Who gets reports, and how.

    Attributes:
        readers: Who.
        hour: At which hour of their Mondays; later if the report is made later.
        letter: Writes it.
        send: Posts a mail by one request; returns SES's id.
    """

    readers: tuple[Reader, ...]
    hour: int
    letter: Callable[[WeeklyReport], Letter]
    send: Callable[[Email], str]


def due_at(reader: Reader, *, hour: int, now: datetime) -> datetime:
    """Return the last Monday's hour at or before `now` where the reader lives."""
    zone = ZoneInfo(reader.time_zone)
    local = now.astimezone(zone)
    monday = local.date() - timedelta(days=local.weekday())
    moment = datetime.combine(monday, time(hour), zone)
    if moment > local:
        moment = datetime.combine(monday - _WEEK, time(hour), zone)
    return moment.astimezone(UTC)


def report_due(sessions: Sessions, reader: Reader, due: datetime) -> str | None:
    """Return the report that a reader is due; None while it is not made."""
    from campaigns.steps.report import week_of

    monday = due.astimezone(ZoneInfo(reader.time_zone)).date()
    week = week_of(datetime.combine(monday, time(), UTC))
    with sessions.begin() as session:
        return reports.kept(session, week)


def send_report(
    distribution: Distribution, sessions: Sessions, reader: Reader, content: str
) -> dict[str, Any]:
    """Send a kept report to a reader by one POST; return what became of it.

    Raises:
        SendError: Nothing was taken.
    """
    with sessions.begin() as session:
        if suppressions.is_suppressed(session, reader.address_hash):
            return {"outcome": "suppressed"}
        name = instance.name(session)
    weekly = from_plain(content)
    letter = distribution.letter(weekly)
    tags = {"wb_instance": name, "wb_report": weekly.week}
    subject, html, text, pictures = letter
    email = Email(reader.address, subject, html, text, {}, tags, pictures)
    try:
        taken = distribution.send(email)
    except OutcomeUnknownError:
        # It may be out: nobody gets a report twice for an answer that was lost.
        return {"outcome": "unknown", "week": weekly.week}
    return {"outcome": "accepted", "week": weekly.week, "ses_message_id": taken}
