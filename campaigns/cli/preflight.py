"""`winback campaign preflight`: what cannot be made, before it is due."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from campaigns.domain.words import MessageState
from campaigns.mail.render_room import RenderRoom
from campaigns.steps.preflight import Tried, preflight
from campaigns.store import campaigns
from campaigns.wiring.sending import composer
from campaigns.wiring.workspace import Workspace

_SHOWN: Final = 20


def print_preflight(workspace: Workspace, name: str) -> bool:
    """Print what cannot be made of a campaign's planned mails; return whether all can.

    Raises:
        NotFoundError: No campaign has that name.
    """
    with workspace.sessions.begin() as session:
        messages = campaigns.status(session, name).messages
    waiting = messages.get(MessageState.PLANNED, 0)
    if not waiting:
        why = "none waits any more" if messages else "they are planned as it enrols"
        print(f"Campaign {name} has no planned mail: {why}.")
        return True
    with closing(RenderRoom(workspace.template_folders)) as room:
        made_with = composer(
            workspace,
            public_base_url=workspace.settings.sending.public_base_url,
            render=room.render,
        )
        tried = preflight(workspace.sessions, made_with, name, now=workspace.clock())
        console = Console(stderr=True)
        found = _counted(track(tried, "mails", total=waiting, console=console))
    print(f"{found.made:,} of {found.made + found.unmade:,} planned mails can be made.")
    if found.unmade:
        _print(found)
    return not found.unmade


@dataclass(slots=True)
class _Found:
    made: int = 0
    unmade: int = 0
    first_unmade: list[Tried] = field(default_factory=list)


def _counted(tried: Iterable[Tried]) -> _Found:
    found = _Found()
    for each in tried:
        if each.problem is None:
            found.made += 1
            continue
        found.unmade += 1
        if found.unmade <= _SHOWN:
            found.first_unmade.append(each)
    return found


def _print(found: _Found) -> None:
    table = Table("message", "account", "why it cannot be made", box=None)
    for each in found.first_unmade:
        problem = escape(each.problem or "")
        table.add_row(str(each.message), escape(each.account), problem)
    Console().print(table)
    if found.unmade > _SHOWN:
        print(f"… and {found.unmade - _SHOWN:,} more.")
    print("Mend the template: nothing was sent, and the mails stay planned.")
