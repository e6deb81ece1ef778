"""See what accounts that came back do after 7, 14 and 30 days: who is still here."""

from datetime import datetime

from campaigns.domain.definitions import STAYS, WinBackDefinition
from campaigns.rules.reactivation import is_here
from campaigns.store import records, stays
from campaigns.store.session import Session
from campaigns.store.usage import UsageLake


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
        used = lake.used_in_week_before([(each.account, each.at) for each in due])
        features = lake.features_used(
            [(each.account, each.returned_at, each.at) for each in due]
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
                features.get((each.account, each.at), 0),
            )
            for each in due
        ]
        stays.record(session, seen, days=days)
        count += len(seen)
    return count
