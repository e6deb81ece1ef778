"""What a campaign can show is said before it is launched, or it is not launched."""

from datetime import timedelta

from campaigns.cli.power import power_of
from campaigns.wiring.workspace import open_workspace
from tests.factories import NOON
from tests.situations import SITUATIONS, plant


def test_a_launch_says_what_the_campaign_can_show(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    walk("campaign", "apply", root / "campaigns" / "win-back.toml", workspace=root)
    said = walk("campaign", "launch", "win-back", workspace=root, fails=1)

    assert "12.0 % come back by themselves (the pilot's rate)" in said
    assert "cannot answer whether mails help: it is too small" in said
    assert "was not launched; with --anyway it is" in said
    assert "applied" in walk("campaign", "status", "win-back", workspace=root)

    said = walk("campaign", "launch", "win-back", "--anyway", workspace=root)
    assert "Campaign win-back is live" in said
    said = walk("campaign", "launch", "win-back", workspace=root, fails=1)
    assert "was launched already and is running" in said


def test_who_comes_back_by_itself_is_known_by_those_held_out_so_far(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    opened = open_workspace(root)
    plant(opened.sessions, SITUATIONS["win"])
    now = NOON - timedelta(days=1)  # its only date is still to come
    asked = power_of(opened, "spring", base_rate=None, now=now).lines
    told = power_of(opened, "spring", base_rate=0.2, now=now).lines

    assert "If 5.3 % come back by themselves (as of the 600 held out so far):" in asked
    assert "If 20.0 % come back by themselves (as you say):" in told
