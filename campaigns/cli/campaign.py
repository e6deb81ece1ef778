"""`winback campaign …`: apply, launch, preflight, pause, resume, status and others."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from campaigns.cli.options import WorkspaceOption, in_utc

app = typer.Typer(
    no_args_is_help=True, help="Apply, launch, pause and watch campaigns."
)


@app.command("apply")
def apply_(file: Path, workspace: WorkspaceOption = Path()) -> None:
    """Check a campaign file and store it as the campaign's newest version."""
    from campaigns.scoring.known import read_segments
    from campaigns.sources.campaign_files import read_campaign
    from campaigns.store import campaigns
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    definition = read_campaign(
        file,
        segments=[each.name for each in read_segments(opened.segments_file)],
        templates=opened.templates().names(),
    )
    with opened.sessions.begin() as session:
        version, is_new = campaigns.apply(session, definition, now=opened.clock())
    said = "applied" if is_new else "unchanged"
    print(f"Campaign {definition.name}: version {version} {said}.")


@app.command()
def launch(
    name: str,
    at: Annotated[
        datetime | None, typer.Option(help="launch as of then (UTC); default: now")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="even if it is too small to show anything")
    ] = False,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Say what a campaign can show, make it live and plan its cohorts.

    `winback run` does the rest. One that is too small to show anything stays as it is.
    """
    from campaigns.cli.power import power_of
    from campaigns.domain.words import CampaignState
    from campaigns.schedule import occurrences
    from campaigns.steps.launch import launch as launch_campaign
    from campaigns.store import campaigns
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    moment = in_utc(at, opened.clock())
    with opened.sessions.begin() as session:
        is_new = campaigns.state_of(session, name) is CampaignState.APPLIED
    if is_new:
        power = power_of(opened, name, base_rate=None, now=moment)
        for line in power.lines:
            print(line)
        if not power.can_answer and not anyway:
            print(f"Campaign {name} was not launched; with --anyway it is.")
            raise typer.Exit(1)
    cohorts = launch_campaign(opened.sessions, name, at=moment, occurrences=occurrences)
    first, last = f"{cohorts[0]:%Y-%m-%d %H:%M} UTC", f"{cohorts[-1]:%Y-%m-%d}"
    print(f"Campaign {name} is live: {len(cohorts)} cohorts, from {first} to {last}.")


@app.command()
def power(
    name: str,
    base_rate: Annotated[
        float | None,
        typer.Option(
            help="share that comes back by itself; default: of those held out so far"
            " or, while they are few, the pilot's rate",
            min=0.001,
            max=0.9,
        ),
    ] = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Say what a campaign can show, and by when, before it is launched."""
    from campaigns.cli.power import power_of
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    power = power_of(opened, name, base_rate=base_rate, now=opened.clock())
    for line in power.lines:
        print(line)


@app.command()
def preflight(name: str, workspace: WorkspaceOption = Path()) -> None:
    """Make every planned mail without sending any, and list what cannot be made."""
    from campaigns.cli.preflight import print_preflight
    from campaigns.wiring.workspace import open_workspace

    if not print_preflight(open_workspace(workspace), name):
        raise typer.Exit(1)


@app.command()
def pause(name: str, workspace: WorkspaceOption = Path()) -> None:
    """Stop a running campaign from posting more; what is planned stays planned."""
    from campaigns.store import campaigns
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    with opened.sessions.begin() as session:
        campaigns.pause(session, name, now=opened.clock())
    print(f"Campaign {name} is paused.")


@app.command()
def resume(name: str, workspace: WorkspaceOption = Path()) -> None:
    """Let a paused campaign go on; its guard-rails count anew from here."""
    from campaigns.store import campaigns
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    with opened.sessions.begin() as session:
        campaigns.resume(session, name, now=opened.clock())
    print(f"Campaign {name} is running.")


@app.command()
def pin(name: str, workspace: WorkspaceOption = Path()) -> None:
    """Let a campaign go by the model of segments that is used now, from here on."""
    from campaigns.steps.launch import pin as pin_model
    from campaigns.wiring.workspace import open_workspace

    with open_workspace(workspace).sessions.begin() as session:
        model = pin_model(session, name)
    print(f"Campaign {name} goes by model {model}." if model else "No model is in use.")


@app.command("list")
def list_(workspace: WorkspaceOption = Path()) -> None:
    """List all campaigns with their state."""
    from campaigns.store import campaigns
    from campaigns.wiring.workspace import open_workspace

    with open_workspace(workspace).sessions.begin() as session:
        names = campaigns.names(session)
        for name in names:
            print(f"{name}: {campaigns.state_of(session, name)}")
    if not names:
        print("No campaign yet: winback campaign apply FILE")


@app.command()
def status(name: str, workspace: WorkspaceOption = Path()) -> None:
    """Show how far a campaign is; every count has its reason, and they add up."""
    from campaigns.cli.status import print_status
    from campaigns.wiring.workspace import open_workspace

    print_status(open_workspace(workspace), name)
