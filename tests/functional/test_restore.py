"""A backup is put back: what a person is told, sees, and has to do."""

import shutil
import signal
import subprocess
from types import SimpleNamespace

import pytest

from campaigns.wiring.sending import sending_work, ses_endpoint
from campaigns.wiring.workspace import open_workspace


@pytest.fixture
def backed_up(walk, tmp_path):
    """A workspace whose database is the one of before its last no."""
    root = tmp_path / "here"
    walk("init", root)
    walk("suppress", "add", "ada@example.com", workspace=root)
    backup = tmp_path / "backup.db"
    shutil.copyfile(root / "winback.db", backup)
    walk("suppress", "add", "bob@example.com", workspace=root)
    shutil.copyfile(backup, root / "winback.db")
    return root


def run(winback, root):
    """Start `winback run` and end it again; returns what it said before it ran."""
    process = subprocess.Popen(
        [winback, "run", "-w", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Running"):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    return " ".join("".join(said).split())


def test_a_database_that_was_put_back_waits_until_it_is_accepted(
    backed_up, walk, winback
):
    assert "Nothing waits" in walk("accept-copy", workspace=backed_up)

    said = run(winback, backed_up)

    assert "Nothing is sent: this database was restored" in said
    assert "of the last 0 posts and 1 changes" in said
    assert "winback accept-copy" in walk("doctor", workspace=backed_up, fails=1)
    accepted = walk("accept-copy", workspace=backed_up)
    assert "Accepted, though this database was restored" in accepted
    assert "No campaign is paused" in accepted
    assert "copy_accepted" in accepted
    assert "Nothing waits" in walk("accept-copy", workspace=backed_up)
    assert "Nothing is sent" not in run(winback, backed_up)
    walk("doctor", workspace=backed_up)


@pytest.mark.parametrize(
    ("pages", "told"), [(1, "the database is damaged"), (60, "image is malformed")]
)
def test_a_damaged_database_is_neither_sent_from_nor_accepted(
    backed_up, walk, pages, told
):
    """With its last page lost it opens; without half of it, it does not."""
    with (backed_up / "winback.db").open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(1, pages + 1):
            file.seek(size - page * 4096)
            file.write(b"\xff" * 2048)

    for command in ("run", "accept-copy"):
        said = " ".join(walk(command, workspace=backed_up, fails=1).split())
        assert told in said
        assert "put back a backup: see docs/how-to/restore.md" in said
        assert "Traceback" not in said
    assert "put back a backup" in walk("doctor", workspace=backed_up, fails=1)


def test_a_sender_and_its_heart_see_with_the_same_guard(walk, tmp_path):
    """What one saw of the database, the other knows."""
    walk("init", tmp_path / "here")
    workspace = open_workspace(tmp_path / "here")
    worker = SimpleNamespace(worker="w")
    page = {"public_base_url": "http://127.0.0.1", "is_simulated": False}
    with (
        ses_endpoint(workspace) as endpoint,
        sending_work(workspace, endpoint, presence=worker, **page) as work,
    ):
        assert work.desk.guard in work.beat.args
    workspace.engine.dispose()
