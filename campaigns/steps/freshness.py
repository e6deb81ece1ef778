"""Up to when it is known who came back: by when imports ran, and by what they held."""

from datetime import date, datetime, timedelta
from typing import Final

from campaigns.domain.definitions import WinBackDefinition
from campaigns.store import imports, usage
from campaigns.store.session import Session
from campaigns.store.usage import UsageLake

_TELLING_KINDS: Final = {
    "paid": ("subscriptions",),
    "used": ("usage",),
    "either": ("usage", "subscriptions"),
}
"""The kinds of records by which a return becomes known."""
_LOOKED_BACK_DAYS: Final = 28


def imported_until(session: Session, definition: WinBackDefinition) -> datetime | None:
    """Return when what tells of returns was last imported; None if it never was."""
    return imports.known_until(session, _TELLING_KINDS[definition.counts])


def told_until(
    session: Session,
    lake: UsageLake,
    definition: WinBackDefinition,
    *,
    before: datetime,
) -> datetime | None:
    """Return up to when imports truly tell who came back; None if none did.

    An old file that is imported today tells nothing of yesterday: where use counts, and
    there is some on most days, no more is known than up to the newest of it. Windows
    are closed all the same, for what comes later corrects them; but no verdict may rest
    on it. Where use is rare, as of churned accounts only, its absence tells nothing.

    Args:
        session: The database.
        lake: The usage events.
        definition: What counts as a return.
        before: Nothing later is known.
    """
    imported = imported_until(session, definition)
    if imported is None:
        return None
    if "usage" in _TELLING_KINDS[definition.counts]:
        before = _use_reaches(lake, before)
    return min(before, imported)


def use_told_until(
    session: Session, lake: UsageLake, *, before: datetime
) -> datetime | None:
    """Return up to when imports truly tell what was used; None if none did."""
    imported = imports.known_until(session, ("usage",))
    return min(_use_reaches(lake, before), imported) if imported else None


def _use_reaches(lake: UsageLake, before: datetime) -> datetime:
    newest = usage.newest_event(lake, before=before)
    if newest is None or not _is_on_most_days(lake, newest.date()):
        return before
    return newest


def _is_on_most_days(lake: UsageLake, last: date) -> bool:
    """Say whether there is use on half of the days of the four weeks up to one."""
    first = last - timedelta(days=_LOOKED_BACK_DAYS)
    return sum(first < day <= last for day in lake.days()) >= _LOOKED_BACK_DAYS / 2
