"""`winback suppress`: the list that only grows, by hand and by file."""

import subprocess

from campaigns.mail.local_ses.outbox import Outbox
from campaigns.mail.local_ses.ses import SUPPRESSED


def test_addresses_are_added_listed_and_carried_to_another_workspace(
    walk, winback, tmp_path, move_to_database
):
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        walk("init", root)
        move_to_database(root)
    (there / "secrets.toml").write_text((here / "secrets.toml").read_text())
    assert "1 added" in walk("suppress", "add", "Ada@Example.com", workspace=here)
    several = subprocess.run(
        [winback, "suppress", "add", "-", "-w", str(here)],
        input="ada@example.com\nbob@example.com\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 added, 1 known before" in several.stdout

    listed = walk("suppress", "list", workspace=here)
    assert "manual: 2" in listed
    file = tmp_path / "suppressed.csv"
    assert "2 written" in walk("suppress", "export", file, workspace=here)
    # The name alone may stand in a hash: its letters are digits there.
    assert "ada@" not in file.read_text()
    assert "example" not in file.read_text()
    taken = walk("suppress", "import", file, workspace=there)
    assert "2 taken, 0 unchanged, 0 rejected" in taken
    assert walk("suppress", "list", workspace=there) == listed


def test_what_is_no_address_adds_nothing_and_is_not_repeated(walk, winback, tmp_path):
    walk("init", tmp_path / "here")
    done = subprocess.run(
        [winback, "suppress", "add", "-", "-w", str(tmp_path / "here")],
        input="bob@example.com\nada@@example\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "line 2 is not an e-mail address" in done.stderr
    assert "ada" not in done.stderr
    told = walk("suppress", "list", workspace=tmp_path / "here")
    assert told.startswith("0 addresses")


def test_the_list_of_ses_is_taken_over(walk, tmp_path, move_to_database):
    here = tmp_path / "here"
    walk("init", here)
    move_to_database(here)
    outbox = Outbox(here / "mails")
    for name in ("ada", "bob"):
        value = {"Reason": "BOUNCE", "at": "2026-01-05T12:00:00.000Z"}
        outbox.put(SUPPRESSED, f"{name}@example.com", value)
    outbox.close()
    walk("suppress", "add", "ada@example.com", workspace=here)

    told = walk("suppress", "sync", workspace=here)

    assert "2 addresses on SES's list: 1 added, 0 of them contacts of ours" in told
    listed = walk("suppress", "list", workspace=here)
    assert "manual: 1" in listed
    assert "on ses list: 1" in listed
