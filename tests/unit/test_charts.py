"""Charts: the same drawing for light pages and dark ones."""

from dataclasses import replace
from datetime import date

from campaigns.present import charts
from campaigns.present.lines import ProgrammeLook
from campaigns.rules.measure.rates import Estimate
from campaigns.steps.compare import NOTHING


def test_a_dark_chart_is_the_light_one_in_other_colours():
    light = charts.svg(charts.sizes({"slow-fade": 30, "never-activated": 12}))

    dark = charts.darkened(light)
    for ours, theirs in zip(charts.LIGHT, charts.DARK, strict=True):
        assert dark.count(theirs) == light.count(ours)
        assert ours not in dark
    assert light.count(charts.LIGHT.treated) >= 2
    assert light.count(charts.LIGHT.text) > 2


def test_a_band_holds_its_line_however_large_the_lift_is():
    lifts = [Estimate(0.65, 0.56, 0.71), Estimate(-0.5, -0.9, 0.6), Estimate(0, -1, 1)]
    looks = [
        ProgrammeLook(date(2026, 1, number), replace(NOTHING, lift=lift))
        for number, lift in enumerate(lifts, start=1)
    ]
    drawn = charts.lift_over_time(looks).to_dict()["datasets"].values()
    (rows,) = (rows for rows in drawn if "low" in rows[0])

    assert [row["lift"] for row in rows] == [0.65, -0.5, 0]
    assert all(row["low"] <= row["lift"] <= row["high"] for row in rows)
    assert (rows[2]["low"], rows[2]["high"]) == (-0.3, 0.3)
