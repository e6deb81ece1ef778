"""The words are tested: what the docs say is what the code does."""

import importlib.util
import re
import shlex
import subprocess
import tomllib

import pytest
import typer

from campaigns.cli.main import app
from campaigns.config import Settings
from tests.conftest import ROOT

PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
)


def drawn():
    path = ROOT / "docs" / "draw_reference.py"
    spec = importlib.util.spec_from_file_location("draw_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PAGES


@pytest.mark.parametrize("name", ["commands.md", "features.md", "states.md"])
def test_pages_that_are_drawn_say_what_the_code_says(name):
    written = (ROOT / "docs" / "reference" / name).read_text("utf-8")

    assert written == drawn()[name](), "run: python docs/draw_reference.py"


def test_every_setting_stands_in_the_reference():
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    told = set(re.findall(r"^\| (\w+) \| (\w+) \|", page, flags=re.MULTILINE))
    there = {
        (section, name)
        for section, field in Settings.model_fields.items()
        for name in field.annotation.model_fields
    }

    assert told - {("section", "setting")} == there


def test_the_starter_settings_name_no_setting_that_is_none():
    text = (ROOT / "templates" / "workspace" / "winback.toml").read_text("utf-8")
    switched_on = re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE)
    switched_on = switched_on.replace('url = "sqlite', 'other = "sqlite', 1)
    tables = tomllib.loads(switched_on)
    tables["database"].pop("other")

    for section, values in tables.items():
        known = Settings.model_fields[section].annotation.model_fields
        assert set(values) <= set(known), section


def winback_lines():
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["winback"]:
                    yield words[1:]


def test_every_command_in_the_docs_exists_with_its_options():
    group = typer.main.get_command(app)
    lines = list(winback_lines())
    assert len(lines) > 20
    for words in lines:
        command = group.commands[words.pop(0)]
        if hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for each in command.params for option in each.opts}
        used = {word.split("=")[0] for word in words if word.startswith("-")}
        assert used <= known, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_readme_has_exactly_two_set_up_commands():
    (block,) = re.findall(
        r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]

    assert commands == [["make", "demo"], ["make", "test"]]


def tracked():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_no_tracked_file_bears_a_registrys_address():
    # Written apart, so that this file passes its own test.
    addresses = [b"python" + b"hosted", b"pypi" + b".org", b"npm" + b"js.org"]
    for path in tracked():
        content = path.read_bytes() if path.is_file() else b""
        for address in addresses:
            assert address not in content, path


def test_make_alone_lists_the_targets():
    said = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for target in ("demo", "test", "check", "bench", "lock"):
        assert re.search(rf"^{target}\s+\S", said, flags=re.MULTILINE)


def test_help_imports_nothing_heavy(winback):
    """What makes `winback --help` answer at once."""
    python = str(ROOT.joinpath(winback).parent / "python")
    code = (
        "import sys, campaigns.cli.main\n"
        "heavy = {'polars', 'sklearn', 'sqlalchemy', 'boto3', 'botocore', 'altair',"
        " 'scipy', 'numpy', 'jinja2', 'starlette', 'uvicorn', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
