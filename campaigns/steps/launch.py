"""Launch a campaign: plan its cohorts and make it live."""

from collections.abc import Callable, Sequence
from datetime import datetime

from campaigns.domain.campaign import Schedule
from campaigns.errors import ActionRefusedError
from campaigns.store import campaigns
from campaigns.store.session import Sessions

Occurrences = Callable[[Schedule, datetime], Sequence[datetime]]


def launch(
    sessions: Sessions, name: str, *, at: datetime, occurrences: Occurrences
) -> Sequence[datetime]:
    """Make a campaign live as of a moment and return when its cohorts fall due.

    Args:
        sessions: The database.
        name: The campaign.
        at: No cohort is planned before this moment.
        occurrences: Returns the moments of a schedule from a moment on.

    Raises:
        ActionRefusedError: It was launched before, or its only date has passed.
        CampaignFileError: Its cron expression is not understood.
    """
    with sessions.begin() as session:
        schedule = campaigns.definition_of(session, name).schedule
        cohorts = [moment for moment in occurrences(schedule, at) if moment >= at]
        if not cohorts:
            raise ActionRefusedError(
                f"campaign {name!r} has no date left to enrol on from "
                f"{at:%Y-%m-%d %H:%M} UTC on; set a later schedule.on and apply again"
            )
        campaigns.launch(session, name, cohorts=cohorts, now=at)
    return cohorts
