"""Cards of models, made of what a workspace holds."""

from collections.abc import Sequence
from pathlib import Path

from campaigns.domain.words import ModelAction
from campaigns.present.cards import Card, card_of
from campaigns.present.pages import Pages
from campaigns.shipped import templates_folder
from campaigns.steps.learn import sentence_of
from campaigns.store import model_versions
from campaigns.store.model_versions import ModelDecision
from campaigns.wiring.workspace import Workspace


def card(workspace: Workspace, beginning: str) -> Card:
    """Return the card of the model whose version begins so.

    Raises:
        NotFoundError: There is none, or more than one.
    """
    with workspace.sessions.begin() as session:
        model = model_versions.find(session, beginning)
        decided = model_versions.decisions(session, model.kind)
    return card_of(
        model.metadata,
        sentence=sentence_of(model.metadata),
        is_active=model.is_active,
        decisions=decisions_about(model.version, decided),
    )


def decisions_about(
    version: str, decided: Sequence[ModelDecision]
) -> list[tuple[str, str, str]]:
    """Return what was decided about a version, and what ended its use, latest first."""
    used: str | None = None
    found = []
    for each in reversed(decided):
        is_decided = each.action is not ModelAction.TRAINED
        if each.version == version or (used == version and is_decided):
            what = each.action.replace("_", " ")
            if each.version not in {version, None}:
                what = f"{what}: {each.version} in its place"
            found.append((f"{each.at:%Y-%m-%d %H:%M}", what, each.because))
        used = each.version if is_decided else used
    return found[::-1]


def pages() -> Pages:
    """Return what draws cards."""
    return Pages(templates_folder())


def write_card(workspace: Workspace, beginning: str) -> Path:
    """Write a model's card beside it, as HTML and Markdown; return the page's path."""
    made = card(workspace, beginning)
    with workspace.sessions.begin() as session:
        folder = model_versions.find(session, beginning).path
    page = workspace.root / "models" / folder / "card.html"
    drawn = pages()
    page.write_text(drawn.card_html(made), "utf-8")
    page.with_suffix(".md").write_text(drawn.card_markdown(made), "utf-8")
    return page
