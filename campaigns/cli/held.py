"""`winback held …`: messages whose fate only a person can decide."""

from pathlib import Path

import typer

from campaigns.cli.options import WorkspaceOption

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
def release(message: int, workspace: WorkspaceOption = Path()) -> None:
    """Plan a held message anew. If SES had taken it after all, it goes out twice."""
    _decide(workspace, message, "planned")


@app.command()
def drop(message: int, workspace: WorkspaceOption = Path()) -> None:
    """Give a held message up."""
    _decide(workspace, message, "dropped")


def _decide(workspace: Path, message: int, to: str) -> None:
    from campaigns.domain.words import MessageState
    from campaigns.store import doubts
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    with opened.sessions.begin() as session:
        state = MessageState(to)
        doubts.decide_held(session, message, state, now=opened.clock())
    print(f"Message {message} is {to}.")
