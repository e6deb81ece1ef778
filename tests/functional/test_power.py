"""What a campaign can show is said before and when it is launched."""

from datetime import timedelta

from campaigns.cli.power import power_lines
from campaigns.wiring.workspace import open_workspace
from tests.situations import SITUATIONS, plant


def test_a_launch_says_what_the_campaign_can_show(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    walk("campaign", "apply", root / "campaigns" / "win-back.toml", workspace=root)
    said = walk("campaign", "launch", "win-back", workspace=root)

    assert "Campaign win-back is live" in said
    assert "12.0 % come back by themselves (the pilot's rate)" in said
    assert "cannot answer whether mails help: it is too small" in said


def test_who_comes_back_by_itself_is_known_by_those_held_out_so_far(walk, tmp_path):
    root = tmp_path / "here"
    walk("init", root)
    opened = open_workspace(root)
    now = plant(opened.sessions, SITUATIONS["win"])
    when = {"moments": [now + timedelta(days=1)], "now": now}

    asked = power_lines(opened, "spring", base_rate=None, **when)
    told = power_lines(opened, "spring", base_rate=0.2, **when)

    assert "If 5.3 % come back by themselves (as of the 600 held out so far):" in asked
    assert "If 20.0 % come back by themselves (as you say):" in told
