"""`winback accept-copy`: a person has looked at a restored database."""

from campaigns.domain.words import CampaignState
from campaigns.store import campaigns, instance
from campaigns.wiring.workspace import Workspace


def accept_database(workspace: Workspace) -> None:
    """Let a database be sent from that waited for it, and say what is paused."""
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
    print(f"Accepted, though {because}.")
    for name in paused:
        print(f"Still paused: {name}; `winback campaign resume {name}` lets it go on.")
