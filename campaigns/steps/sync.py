"""Learn from SES's own suppression list whom it writes to no more.

One way only: an unsubscription is about our mails, and on SES's list it would also stop
the company's invoices and passwords.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from campaigns.clock import Clock
from campaigns.domain.records import email_address
from campaigns.domain.words import SuppressionReason
from campaigns.store import records, runs, suppressions
from campaigns.store.session import Sessions

logger = structlog.get_logger(__name__)

JOB: Final = "sync"
_OVERLAP: Final = timedelta(days=1)
"""SES's list may be read before what was put there last is seen everywhere."""


class SesList(NamedTuple):
    """What a sync works with.

    Attributes:
        sessions: The database.
        suppressed: Yields pages of the addresses put on the list since a moment.
        hash_of: Turns an address into its keyed hash.
        clock: The time.
    """

    sessions: Sessions
    suppressed: Callable[..., Iterator[list[str]]]
    hash_of: Callable[[str], str]
    clock: Clock


@dataclass(slots=True)
class SyncResult:
    """What was read, and what of it is new.

    Attributes:
        read: Addresses on the list.
        added: Those that we might still have written to.
        contacts: Contacts of ours among them.
        not_understood: Those that are no address; SES lets any text be put there.
    """

    read: int = 0
    added: int = 0
    contacts: int = 0
    not_understood: int = 0


def sync(ses_list: SesList, *, in_full: bool = False) -> SyncResult:
    """Take what was put on SES's list since the last good run, page by page.

    Each page is committed by itself: after a stop, nothing that was read is lost.

    Raises:
        RetryLaterError: SES did not answer, or refused to.
    """
    result = SyncResult()
    with ses_list.sessions.begin() as session:
        last = None if in_full else runs.last_good_start(session, JOB)
    since = None if last is None else last - _OVERLAP
    for page in ses_list.suppressed(since=since):
        _take(ses_list, page, result)
    if result.contacts:
        # The lists have drifted apart: SES was told no, and its event never reached us.
        logger.error("suppressed_by_ses_only", contacts=result.contacts)
    return result


def _take(ses_list: SesList, page: list[str], result: SyncResult) -> None:
    hashes = set()
    for address in page:
        try:
            hashes.add(ses_list.hash_of(email_address(address)))
        except ValueError:
            result.not_understood += 1
    now = ses_list.clock()
    with ses_list.sessions.begin() as session:
        new = [
            hash_
            for hash_ in sorted(hashes)
            if suppressions.suppress(
                session, hash_, SuppressionReason.ON_SES_LIST, now=now
            )
        ]
        result.contacts += len(records.holders_of(session, new))
    result.read += len(page)
    result.added += len(new)
