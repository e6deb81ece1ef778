"""Launch a campaign: plan its cohorts and make it live."""

from collections.abc import Callable, Sequence
from datetime import datetime

from campaigns.domain.campaign import Schedule
from campaigns.domain.words import ModelKind
from campaigns.errors import ActionRefusedError
from campaigns.store import campaigns, model_versions
from campaigns.store.session import Session, Sessions

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
        pin(session, name)
    return cohorts


def pin(session: Session, name: str) -> str | None:
    """Let a campaign go by the model of segments that is used now; return it.

    So its cohorts can be compared: one that is promoted later changes none of them.
    """
    used = model_versions.active(session, ModelKind.SEGMENTS)
    model = used.version if used else None
    campaigns.pin(session, name, model)
    return model
