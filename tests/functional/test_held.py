"""`winback held`: one by one, or all of a campaign."""

import shutil
import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def in_doubt(demo, tmp_path):
    """A copy of the demo in which two mails of a campaign are held; and its name."""
    root = tmp_path / "demo"
    shutil.copytree(demo[0], root)
    with closing(sqlite3.connect(root / "winback.db")) as database, database:
        ((campaign,),) = database.execute(
            "SELECT campaign FROM messages WHERE state = 'accepted' LIMIT 1"
        ).fetchall()
        database.execute(
            "UPDATE messages SET state = 'held' WHERE id IN (SELECT id FROM messages"
            " WHERE state = 'accepted' AND campaign = ? ORDER BY id LIMIT 2)",
            (campaign,),
        )
    return root, campaign


def test_all_held_mails_of_a_campaign_are_decided_on_at_once(in_doubt, walk):
    root, campaign = in_doubt

    told = walk("held", "drop", "--campaign", campaign, workspace=root)

    assert told.count("is dropped.") == 2
    assert "0 messages in doubt" in walk("held", "list", workspace=root)
    again = walk("held", "drop", "--campaign", campaign, workspace=root)
    assert f"No message of {campaign} is held." in again


def test_what_is_to_be_decided_on_has_to_be_said(in_doubt, walk):
    root, _ = in_doubt
    assert "--campaign NAME" in walk("held", "drop", workspace=root, fails=2)
    told = walk("held", "drop", "--campaign", "nowhere", workspace=root, fails=1)
    assert "nowhere" in told
    assert "Traceback" not in told
