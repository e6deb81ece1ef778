"""Which message of ours an event speaks of: by its tags, or by SES's number of it.

Events that SES publishes for a configuration set bear the mail's tags. The feedback
notifications of an identity bear none, and tell the mail's number only:
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from campaigns.domain.values import ProviderEvent, ReceivedEvent, Recipient
from campaigns.store.by_database import ByDatabase
from campaigns.store.tables.delivery import AttemptRow, MessageRow

_HASH: Final = re.compile("[0-9a-f]{64}")
_LONGEST_NUMBER = 18  # digits that every database's integers hold
_POSTED_WITHIN: Final = timedelta(minutes=10)
"""How far our time of a post may be from SES's time of the mail.

SES refuses requests that were signed by a clock five minutes off; the rest is for the
answer. An index of SES's numbers would slow every post down, for the sake of a few.
"""


class Match(NamedTuple):
    """What an event speaks of.

    Attributes:
        message: The message; None if the mail is not ours, or its message is not here.
        recipient: Whose mail it is; None if it is not ours. A restored database may not
            know its message.
        is_untagged: Whether the event says only by SES's number which mail it is.
    """

    message: int | None
    recipient: Recipient | None
    is_untagged: bool


def match(
    session: Session, received: Sequence[ReceivedEvent], *, instance: str
) -> list[Match]:
    """Return what each event speaks of, in their order."""
    events = [each.event for each in received]
    by_ses_id = _by_ses_id(session, events)
    recipients = [
        by_ses_id.get(each.ses_message_id)
        if each is not None and _is_untagged(each)
        else _tagged(each, instance)
        for each in events
    ]
    addresses = _addresses(session, {to.message for to in recipients if to})
    return [
        Match(
            to.message if to is not None and _is_here(to, addresses) else None,
            to,
            is_untagged=_is_untagged(each),
        )
        for to, each in zip(recipients, events, strict=True)
    ]


def _is_untagged(event: ProviderEvent | None) -> bool:
    return event is not None and "wb_instance" not in event.tags


def _tagged(event: ProviderEvent | None, instance: str) -> Recipient | None:
    """Return the recipient that an event's tags name; None if the mail is not ours."""
    if event is None or event.tags.get("wb_instance") != instance:
        return None
    tag = event.tags.get("wb_message", "")
    is_number = tag.isascii() and tag.isdigit() and len(tag) <= _LONGEST_NUMBER
    if not is_number:
        return None
    address_hash = event.tags.get("wb_recipient", "")
    is_hash = _HASH.fullmatch(address_hash) is not None
    return Recipient(int(tag), address_hash if is_hash else None)


def _by_ses_id(
    session: Session, events: Iterable[ProviderEvent | None]
) -> dict[str, Recipient]:
    """Return the recipients of those mails that have their number from SES's answer."""
    ids = {e.ses_message_id: e.mail_at for e in events if e and _is_untagged(e)}
    if not ids:
        return {}
    about = {
        "some": list(ids),
        "since": min(ids.values()) - _POSTED_WITHIN,
        "until": max(ids.values()) + _POSTED_WITHIN,
    }
    connection = session.connection()
    rows = connection.execute(_SES_IDS.on(connection), about).all()
    return {
        str(row.ses_message_id): Recipient(row.id, row.address_hash) for row in rows
    }


_SES_IDS: Final = ByDatabase(
    lambda words: (
        select(MessageRow.ses_message_id, MessageRow.id, MessageRow.address_hash)
        .join(AttemptRow, AttemptRow.message == MessageRow.id)
        .where(
            AttemptRow.posted_at.between(bindparam("since"), bindparam("until")),
            words.is_listed(MessageRow.ses_message_id, "some"),
        )
    )
)
_ADDRESSES: Final = ByDatabase(
    lambda words: select(MessageRow.id, MessageRow.address_hash).where(
        words.is_listed(MessageRow.id, "some")
    )
)


def _addresses(session: Session, numbers: Collection[int]) -> dict[int, str]:
    connection = session.connection()
    listed = {"some": list(numbers)}
    return dict(connection.execute(_ADDRESSES.on(connection), listed).all())


def _is_here(to: Recipient, addresses: Mapping[int, str]) -> bool:
    """Say whether a mail's message is here; a restored database reuses its number."""
    address = addresses.get(to.message)
    return address is not None and to.address_hash in {None, address}
