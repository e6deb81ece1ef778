"""Up to when it is known who came back: by when imports ran, and by what they held."""

from datetime import datetime
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

    An old file that is imported today tells nothing of yesterday: where use counts, no
    more is known than up to the newest use of anybody. Windows are closed all the same,
    for what comes later corrects them; but no verdict may rest on it.

    Args:
        session: The database.
        lake: The usage events.
        definition: What counts as a return.
        before: Nothing later is known.
    """
    imported = imported_until(session, definition)
    newest = None
    if "usage" in _TELLING_KINDS[definition.counts]:
        newest = usage.newest_event(lake, before=before)
    known = [each for each in (imported, newest) if each is not None]
    return min(before, *known) if imported else None
