"""Cards of models, made of what a workspace holds."""

from pathlib import Path

from campaigns.domain.words import ModelAction
from campaigns.present.cards import Card, card_of
from campaigns.present.pages import Pages
from campaigns.shipped import templates_folder
from campaigns.steps.learn import sentence_of
from campaigns.store import model_versions
from campaigns.wiring.workspace import Workspace


def card(workspace: Workspace, beginning: str) -> Card:
    """Return the card of the model whose version begins so.

    Raises:
        NotFoundError: There is none, or more than one.
    """
    with workspace.sessions.begin() as session:
        model = model_versions.find(session, beginning)
        decided = model_versions.decisions(session, model.kind)
    about = [
        (
            f"{each.at:%Y-%m-%d %H:%M}",
            ModelAction(each.action).replace("_", " "),
            each.because,
        )
        for each in decided
        if each.version == model.version
    ]
    return card_of(
        model.metadata,
        sentence=sentence_of(model.metadata),
        is_active=model.is_active,
        decisions=about,
    )


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
