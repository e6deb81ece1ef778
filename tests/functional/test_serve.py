"""The unsubscribe page by itself: links are answered while no sender runs."""

import os
import signal
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from campaigns.config import read_settings, token_keys
from campaigns.domain.values import Recipient
from campaigns.mail.links import Tokens
from tests.factories import address_hash


@contextmanager
def running(winback, log, *arguments):
    """A command that runs until it is told to stop; yields its first line."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [winback, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},  # noqa: TID251 — a child's
        )
        try:
            yield process.stdout.readline()
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                # Where each of its threads stands is written to its log.
                process.send_signal(signal.SIGABRT)
                process.communicate()
    assert process.returncode == 0, log.read_text()[-20_000:]


def one_click(page, root, name):
    recipient = Recipient(77, address_hash(f"{name}@example.com"))
    token = Tokens(token_keys(read_settings(root).secrets)).make(recipient)
    form = urllib.parse.urlencode({"List-Unsubscribe": "One-Click"}).encode()
    with urllib.request.urlopen(f"{page}/u/{token}", form, timeout=30) as answer:
        return answer.status


@pytest.fixture
def root(walk, tmp_path, move_to_database):
    made = tmp_path / "here"
    walk("init", made)
    settings = made / "winback.toml"
    text = settings.read_text()
    settings.write_text(text.replace("listen_port = 8025", "listen_port = 0"))
    move_to_database(made)
    return made


def test_a_link_is_answered_while_no_sender_runs_and_while_one_does(
    walk, winback, root, tmp_path
):
    with running(winback, tmp_path / "serve.log", "serve", "-w", root) as line:
        page = line.split()[-1]
        assert one_click(page, root, "ada") == 200
        assert "unsubscribed: 1" in walk("suppress", "list", workspace=root)
        run = ("run", "--no-page", "-w", root)
        with running(winback, tmp_path / "run.log", *run) as said:
            assert said.startswith("Running")
            assert one_click(page, root, "bob") == 200
    assert "unsubscribed: 2" in walk("suppress", "list", workspace=root)
