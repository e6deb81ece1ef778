"""`winback models …`: which there are, which is used, and what is known of each."""

from pathlib import Path
from typing import Annotated

import typer

from campaigns.cli.options import WorkspaceOption

app = typer.Typer(
    no_args_is_help=True, help="Trained models: list, show, promote, rollback."
)


@app.command("list")
def list_(workspace: WorkspaceOption = Path()) -> None:
    """List the trained models, the used ones marked, with what each reaches."""
    from campaigns.steps.learn import sentence_of
    from campaigns.store import model_versions
    from campaigns.wiring.workspace import open_workspace

    with open_workspace(workspace).sessions.begin() as session:
        found = model_versions.stored(session)
    for each in found:
        mark = "*" if each.is_active else " "
        print(f"{mark} {each.kind:10} {each.version}  {each.trained_at:%Y-%m-%d %H:%M}")
        print(f"    {sentence_of(each.metadata)}")
    print(f"{len(found)} models; * are in use")


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="or how it begins")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Print a model's card, and write it as a page beside the model."""
    from campaigns.wiring.models import card, pages, write_card
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    print(pages().card_markdown(card(opened, version)))
    print(f"The page is in {write_card(opened, version)}")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="or how it begins")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="though it is not shown to be better")
    ] = False,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Use a model from the next scores on, in the place of the one that is used."""
    from campaigns.steps import learn
    from campaigns.wiring.workspace import open_workspace

    opened = open_workspace(workspace)
    model = learn.promote(opened.learning(), version, anyway=anyway, now=opened.clock())
    print(f"Model {model.version} of {model.kind} is in use.")


@app.command()
def rollback(
    kind: Annotated[str, typer.Argument(help="segments, propensity or uplift")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Use the model that was used before, or none if there was none."""
    from campaigns.domain.words import ModelKind
    from campaigns.errors import NotFoundError
    from campaigns.steps import learn
    from campaigns.wiring.workspace import open_workspace

    if kind not in list(ModelKind):
        kinds = ", ".join(ModelKind)
        raise NotFoundError(f"there is no kind {kind!r} of models; there are: {kinds}")
    opened = open_workspace(workspace)
    model = learn.roll_back(opened.learning(), ModelKind(kind), now=opened.clock())
    print(
        f"Model {model.version} of {kind} is in use again."
        if model
        else f"No model of {kind} is in use, as before."
    )
