"""Journeys are walked through the installed command, and patch nothing."""

import fcntl
import os
import shutil
import subprocess
from functools import partial

import pytest


@pytest.fixture(scope="session")
def walk(winback):
    """Run the command; returns what it printed, and fails if it did."""

    def walk(*arguments, workspace=None, fails=None, timeout=600, database=None):
        options = ["--workspace", str(workspace)] if workspace else []
        setting = {"WINBACK_DATABASE__URL": database} if database else {}
        done = subprocess.run(
            [winback, *map(str, arguments), *options],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **setting},  # noqa: TID251 — for a child process
        )
        expected = 0 if fails is None else fails
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    return walk


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def walk_on_each(walk, request):
    """The same on each kind of database, by the one setting that chooses it."""
    if request.param == "sqlite":
        return walk
    return partial(walk, database=request.getfixturevalue("new_postgres")())


_POSTGRES = pytest.param("postgres", marks=pytest.mark.proof)


@pytest.fixture(params=["sqlite", _POSTGRES])
def move_to_database(request):
    """Lets a new workspace use each kind of database, one of its own."""

    def move(root):
        if request.param == "postgres":
            settings = root / "winback.toml"
            url = request.getfixturevalue("new_postgres")()
            text = settings.read_text().replace("sqlite:///winback.db", url)
            settings.write_text(text)

    return move


@pytest.fixture(scope="session")
def demo(walk, tmp_path_factory):
    """A small demo of 260 accounts and 16 simulated weeks, and what it said.

    It is run once for all that test side by side; each of them gets a copy.
    """
    root = tmp_path_factory.mktemp("functional") / "demo"
    mine = tmp_path_factory.getbasetemp()
    is_one_of_many = "PYTEST_XDIST_WORKER" in os.environ  # noqa: TID251 — set by pytest
    run = mine.parent if is_one_of_many else mine
    original, said = run / "demo", run / "demo.txt"
    with (run / "demo.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            said.write_text(walk("demo", original, "--accounts", "260"))
    shutil.copytree(original, root)
    return root, said.read_text()
