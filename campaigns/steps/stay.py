"""See what accounts that came back do after 7, 14 and 30 days: who is still here."""

from datetime import datetime, timedelta
from typing import Final

from campaigns.domain.definitions import STAYS, WinBackDefinition
from campaigns.rules.reactivation import is_here
from campaigns.store import records, stays
from campaigns.store.session import Session
from campaigns.store.usage import Span, UsageLake

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


def see_who_stayed(
    session: Session,
    lake: UsageLake,
    *,
    definition: WinBackDefinition,
    before: datetime,
) -> int:
    """Record each stay that can be seen and was not yet; return how many.

    Args:
        session: The database.
        lake: The usage events.
        definition: Whether paying, using or either of them counts.
        before: Up to when everything is known.
    """
    count = 0
    for days in STAYS:
        due = stays.due(session, days=days, before=before)
        spans = records.spans_of(session, {each.account for each in due})
        used = lake.used_in(
            [
                # What it came back with does not tell whether it stayed.
                Span(
                    each.account, max(each.at - _WEEK, each.returned_at + _DAY), each.at
                )
                for each in due
            ]
        )
        seen = [
            stays.Stay(
                each.enrolment,
                is_here(
                    spans.get(each.account, ()),
                    has_used=(each.account, each.at) in used,
                    at=each.at,
                    definition=definition,
                ),
            )
            for each in due
        ]
        stays.record(session, seen, days=days)
        count += len(seen)
    return count


def see_what_was_used(session: Session, lake: UsageLake, *, before: datetime) -> None:
    """Record how many features accounts used in the days after they came back.

    Args:
        session: The database.
        lake: The usage events.
        before: Up to when use is known; a stay that ends later waits.
    """
    stayed = stays.unlooked(session, before=before)
    used = lake.features_used(
        [Span(each.account, each.returned_at, each.at) for each in stayed]
    )
    stays.record_features(
        session, [(each, used.get((each.account, each.at), 0)) for each in stayed]
    )
