"""`winback held …`: messages whose fate only a person can decide."""

from pathlib import Path
from typing import Annotated

import typer

from campaigns.cli.options import WorkspaceOption

Message = Annotated[int | None, typer.Argument(help="its number")]
Campaign = Annotated[str | None, typer.Option(help="all held ones of a campaign")]

app = typer.Typer(
    no_args_is_help=True,
    help="Messages that SES may or may not have taken: list, release, drop.",
)


@app.command("list")
def list_(workspace: WorkspaceOption = Path()) -> None:
    """List messages in doubt: unknown ones wait for an event, held ones for you."""
    from campaigns.store import doubts
    from campaigns.wiring.workspace import open_workspace

    with open_workspace(workspace).sessions.begin() as session:
        found = doubts.in_doubt(session)
    for each in found:
        posted = f"{each.posted_at:%Y-%m-%d %H:%M:%S} UTC" if each.posted_at else "–"
        print(
            f"message {each.id}: {each.state}, {each.campaign} step {each.step}, "
            f"account {each.account}, posted {posted}"
        )
    print(f"{len(found)} messages in doubt")


@app.command()
def release(
    message: Message = None,
    campaign: Campaign = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Plan held messages anew. What SES had taken after all goes out twice."""
    _decide(workspace, message, campaign, "planned")


@app.command()
def drop(
    message: Message = None,
    campaign: Campaign = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Give held messages up."""
    _decide(workspace, message, campaign, "dropped")


def _decide(
    workspace: Path, message: int | None, campaign: str | None, to: str
) -> None:
    from campaigns.domain.words import MessageState
    from campaigns.store import campaigns, doubts
    from campaigns.wiring.workspace import open_workspace

    if (message is None) == (campaign is None):
        raise typer.BadParameter("say a message's number, or --campaign NAME")
    opened = open_workspace(workspace)
    with opened.sessions.begin() as session:
        decided = [message] if message is not None else []
        if campaign is not None:
            campaigns.state_of(session, campaign)  # a wrong name is told
            decided = doubts.held_of(session, campaign)
        for each in decided:
            doubts.decide_held(session, each, MessageState(to), now=opened.clock())
    for each in decided:
        print(f"Message {each} is {to}.")
    if not decided:
        print(f"No message of {campaign} is held.")
