"""`winback accept-copy`: a person has looked at a restored database."""

import structlog

from campaigns.domain.words import CampaignState
from campaigns.store import campaigns, instance
from campaigns.store.session import check_sound
from campaigns.wiring.workspace import Workspace

logger = structlog.get_logger(__name__)


def accept_database(workspace: Workspace) -> None:
    """Let a database be sent from that waited for it, and say what is paused.

    Raises:
        ActionRefusedError: It is damaged.
    """
    check_sound(workspace.engine)
    with workspace.sessions.begin() as session:
        because = instance.waits_because(session)
        instance.accept(session)
        paused = [
            name
            for name in campaigns.names(session)
            if campaigns.state_of(session, name) is CampaignState.PAUSED
        ]
    if because is None:
        print("Nothing waits: this database was not found to be a copy.")
        return
    logger.warning("copy_accepted", because=because, still_paused=paused)
    print(f"Accepted, though {because}.")
    for name in paused:
        print(f"Still paused: {name}; `winback campaign resume {name}` lets it go on.")
    if not paused:
        print("No campaign is paused; reports and new launches are possible again.")
