"""Make planned mails and send none: what cannot be made is found before it is due.

A template that looks right may still break on one account, that used nothing or whose
name is missing. When such a mail falls due it is refused; found before, its template
can be mended, and it goes out.
"""

from collections.abc import Iterator
from datetime import datetime
from secrets import token_bytes
from typing import Final, NamedTuple

from campaigns.errors import RenderError
from campaigns.mail.links import Tokens
from campaigns.steps.compose import Composer, compose_all
from campaigns.store import messages, records
from campaigns.store.session import Sessions

_BATCH: Final = 200


class Tried(NamedTuple):
    """A planned mail that was made, or could not be.

    Attributes:
        message: Its id.
        account: Whose it is.
        template: What it is made from.
        problem: Why it cannot be made; None if it can.
    """

    message: int
    account: str
    template: str
    problem: str | None


def preflight(
    sessions: Sessions, composer: Composer, campaign: str, *, now: datetime
) -> Iterator[Tried]:
    """Make each planned mail of a campaign as it would be made now, and let it go.

    Args:
        sessions: The database.
        composer: What mails are made with, save for its keys: no link of these mails
            unsubscribes anyone.
        campaign: Its name.
        now: The moment; what counts as new depends on it.
    """
    harmless = composer._replace(tokens=Tokens({"none": token_bytes(32)}))
    last = 0
    while True:
        with sessions.begin() as session:
            ids = messages.planned_of(session, campaign, after=last, limit=_BATCH)
            some = messages.read_claimed(session, ids)
            releases = records.releases_before(session, now)
        if not ids:
            return
        last = ids[-1]
        made = compose_all(
            harmless, some, instance="preflight", releases=releases, now=now
        )
        for message, mail in zip(some, made, strict=True):
            problem = str(mail) if isinstance(mail, RenderError) else None
            yield Tried(message.id, message.account, message.template, problem)
