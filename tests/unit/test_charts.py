"""Charts: the same drawing for light pages and dark ones."""

from campaigns.present import charts


def test_a_dark_chart_is_the_light_one_in_other_colours():
    light = charts.svg(charts.sizes({"slow-fade": 30, "never-activated": 12}))

    dark = charts.darkened(light)
    for ours, theirs in zip(charts.LIGHT, charts.DARK, strict=True):
        assert dark.count(theirs) == light.count(ours)
        assert ours not in dark
    assert light.count(charts.LIGHT.treated) >= 2
    assert light.count(charts.LIGHT.text) > 2
