"""Write the reference pages that say what the code says: commands, features, states.

    python docs/draw_reference.py

A test fails where a page and the code differ.
"""

from enum import EnumMeta
from pathlib import Path

import typer

from campaigns.cli.main import app
from campaigns.domain import words
from models.definitions import DEFINITION, FEATURES

HERE = Path(__file__).resolve().parent / "reference"


def commands() -> str:
    """Return the page of all commands, from their own help."""
    lines = [
        "# Commands",
        "",
        "`winback COMMAND --help` tells a command's options.",
        "",
    ]
    lines += ["| command | what it does |", "| --- | --- |"]
    group = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        for sub, each in sorted(getattr(command, "commands", {"": command}).items()):
            said = (each.help or "").strip().splitlines()[0]
            lines.append(f"| `winback {f'{name} {sub}'.strip()}` | {said} |")
    return "\n".join(lines) + "\n"


def features() -> str:
    """Return the page of all features, from their definitions."""
    lines = ["# Features", ""]
    lines += [
        f"What is known of an account as of a date; definition `{DEFINITION}`.",
        "",
    ]
    lines += ["| feature | unit | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{each.name}` | {each.unit} | {each.meaning} |" for each in FEATURES]
    return "\n".join(lines) + "\n"


def states() -> str:
    """Return the page of all stored words, from the enums."""
    lines = ["# States and reasons", "", "The words that are stored and shown."]
    for name, kind in vars(words).items():
        if isinstance(kind, EnumMeta) and name != "StrEnum":
            meaning = (kind.__doc__ or "").strip().splitlines()[0]
            lines += ["", f"## {name}", "", meaning, ""]
            lines += [f"- `{word}`" for word in kind]
    return "\n".join(lines) + "\n"


PAGES = {"commands.md": commands, "features.md": features, "states.md": states}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
