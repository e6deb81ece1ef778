"""Journeys are walked through the installed command, and patch nothing."""

import subprocess

import pytest


@pytest.fixture(scope="session")
def walk(winback):
    """Run the command; returns what it printed, and fails if it did."""

    def walk(*arguments, workspace=None, fails=None, timeout=600):
        options = ["--workspace", str(workspace)] if workspace else []
        done = subprocess.run(
            [winback, *map(str, arguments), *options],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        expected = 0 if fails is None else fails
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    return walk


@pytest.fixture(scope="session")
def demo(walk, tmp_path_factory):
    """A small demo, run once: 260 accounts, 16 simulated weeks."""
    root = tmp_path_factory.mktemp("functional") / "demo"
    said = walk("demo", root, "--accounts", "260")
    return root, said
