"""Charts by Altair: for notebooks as they are, and drawn to SVG without a browser."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import altair as alt

from campaigns.present.lines import CohortLine, GroupLine, ProgrammeLook
from campaigns.rules.measure.rates import Estimate

_WIDTH: Final = 640
_HEIGHT: Final = 260
_ROW_HEIGHT: Final = 34
_PIXELS: Final = 1.5  # each way, of a picture's point
_FONT: Final = "sans-serif"
_WIDEST: Final = 0.3
_MOST_POINTS: Final = 400
_DAY: Final = alt.X("day:T", title="Windows closed by", axis=alt.Axis(format="%d %b"))

Drawing: TypeAlias = alt.LayerChart | alt.FacetChart


class Palette(NamedTuple):
    """Colours of one scheme; each pair keeps a contrast of 4.5 : 1 or more."""

    text: str
    grid: str
    treated: str
    holdout: str
    baseline: str


LIGHT: Final = Palette("#22302b", "#dfe5e1", "#0b6e4f", "#8a5a00", "#b3261e")
DARK: Final = Palette("#e4ece8", "#33443d", "#57c79b", "#f0b65a", "#ff8a80")


def rates_over_time(
    looks: Sequence[CohortLine | ProgrammeLook],
    *,
    baseline: float,
) -> Drawing:
    """Return the rates so far of both arms, with bands and the pilot's line."""
    rows = [
        {
            "day": line.window_closed_on.isoformat(),
            "arm": arm,
            "rate": rate.value,
            "low": rate.low,
            "high": rate.high,
        }
        for line in looks
        for arm, rate in (
            ("written to", line.so_far.treated_rate),
            ("held out", line.so_far.holdout_rate),
        )
        if rate is not None
    ]
    colour = alt.Color(
        "arm:N",
        title=None,
        scale=alt.Scale(
            domain=["written to", "held out"], range=[LIGHT.treated, LIGHT.holdout]
        ),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )
    share = alt.Axis(format=".0%", tickCount=6)
    data = _chart(rows)
    band = data.mark_area(opacity=0.18).encode(
        x=_DAY,
        y=alt.Y("low:Q", title="Came back", axis=share),
        y2="high:Q",
        color=colour,
    )
    line = data.mark_line(point=True, strokeWidth=2.5).encode(
        x=_DAY, y="rate:Q", color=colour
    )
    pilot = _chart([{"rate": baseline}])
    rule = pilot.mark_rule(color=LIGHT.baseline, strokeDash=[6, 4]).encode(y="rate:Q")
    label = pilot.mark_text(
        text=f"pilot {baseline:.0%}", color=LIGHT.baseline, align="right", dy=-7
    ).encode(x=alt.value(_WIDTH - 4), y="rate:Q")
    chart = alt.layer(band, line, rule, label)
    return chart.properties(width=_WIDTH, height=_HEIGHT)


def lift_over_time(looks: Sequence[CohortLine | ProgrammeLook]) -> Drawing:
    """Return the lift so far with its band and the line of no difference."""
    rows = [
        {
            "day": line.window_closed_on.isoformat(),
            "lift": lift.value,
            **_ends(lift),
        }
        for line in looks
        if (lift := line.so_far.lift) is not None
    ]
    data = _chart(rows)
    axis = alt.Axis(format="+.0%", tickCount=6)
    low = alt.Y("low:Q", title="Treated minus held out", axis=axis)
    band = data.mark_area(opacity=0.18, color=LIGHT.treated)
    dots = alt.OverlayMarkDef(color=LIGHT.treated)
    line = data.mark_line(point=dots, strokeWidth=2.5, color=LIGHT.treated)
    chart = alt.layer(
        _zero(alt.Y("zero:Q")),
        band.encode(x=_DAY, y=low, y2="high:Q"),
        line.encode(x=_DAY, y="lift:Q"),
    )
    return chart.properties(width=_WIDTH, height=_HEIGHT - 60)


def _ends(lift: Estimate) -> dict[str, float | None]:
    """Return the ends of a band; none where no single lift fits all cohorts."""
    if lift.low > lift.high:
        return {"low": None, "high": None}
    # Before much is known the band is wider than a reader cares to see.
    low, high = lift.value - _WIDEST, lift.value + _WIDEST
    return {"low": max(lift.low, low), "high": min(lift.high, high)}


def _zero(where: alt.X | alt.Y) -> Any:  # noqa: ANN401 — a chart
    rule = _chart([{"zero": 0}]).mark_rule(color=LIGHT.text, strokeWidth=1)
    return rule.encode(where)


def lift_by_group(lines: Sequence[GroupLine]) -> Drawing:
    """Return each group's lift with its interval."""
    rows = [
        {"group": line.title, "lift": lift.value, **_ends(lift)}
        for line in lines
        if (lift := line.comparison.lift) is not None
    ]
    order = [str(row["group"]) for row in sorted(rows, key=_lift, reverse=True)]
    group = alt.Y("group:N", title=None, sort=order)
    axis = alt.Axis(format="+.0%")
    data = _chart(rows)
    span = data.mark_rule(strokeWidth=2.5, color=LIGHT.treated).encode(
        y=group,
        x=alt.X("low:Q", title="Treated minus held out", axis=axis),
        x2="high:Q",
    )
    dot = data.mark_circle(size=90, opacity=1, color=LIGHT.treated).encode(
        y=group, x="lift:Q"
    )
    height = max(1, len(rows)) * _ROW_HEIGHT
    chart = alt.layer(_zero(alt.X("zero:Q")), span, dot)
    return chart.properties(width=_WIDTH - 120, height=height)


def stated_and_kept(
    bins: Sequence[tuple[int, float, float]],
    *,
    kept: str = "Came back",
) -> Drawing:
    """Return what was stated of accounts against what came of them.

    Args:
        bins: Accounts, mean chance stated, and the share it came true of.
        kept: What came true.
    """
    rows = [
        {"accounts": accounts, "stated": stated, "kept": kept}
        for accounts, stated, kept in bins
    ]
    most = max(max(stated, kept) for _, stated, kept in bins)
    axis = alt.Axis(format=".0%", tickCount=6)
    stated = alt.X("stated:Q", title="Chance stated", axis=axis)
    diagonal = _chart([{"stated": 0, "kept": 0}, {"stated": most, "kept": most}])
    line = diagonal.mark_line(color=LIGHT.text, strokeDash=[6, 4], strokeWidth=1)
    dots = _chart(rows).mark_circle(size=110, opacity=1, color=LIGHT.treated)
    chart = alt.layer(
        line.encode(x=stated, y="kept:Q"),
        dots.encode(x=stated, y=alt.Y("kept:Q", title=kept, axis=axis)),
    )
    return chart.properties(width=_WIDTH, height=_HEIGHT)


def sizes(counts: Mapping[str, int]) -> Drawing:
    """Return how many there are of each, the largest first."""
    rows = [{"group": name, "accounts": count} for name, count in counts.items()]
    group = alt.Y("group:N", title=None, sort="-x")
    data = _chart(rows)
    accounts = alt.X("accounts:Q", title="Accounts", axis=alt.Axis(tickMinStep=1))
    bars = data.mark_bar(color=LIGHT.treated).encode(x=accounts, y=group)
    label = data.mark_text(align="left", dx=6, color=LIGHT.text).encode(
        x="accounts:Q", y=group, text=alt.Text("accounts:Q", format=",")
    )
    height = max(1, len(rows)) * _ROW_HEIGHT
    return alt.layer(bars, label).properties(width=_WIDTH - 120, height=height)


def profile(values: Mapping[str, Mapping[str, float]]) -> Drawing:
    """Return how groups differ: for each, features in standard deviations of all.

    Args:
        values: Mean by feature, by group.
    """
    rows = [
        {"group": group, "feature": feature, "mean": mean}
        for group, means in values.items()
        for feature, mean in means.items()
    ]
    data = _chart(rows)
    slanted = alt.Axis(labelAngle=-30)
    group = alt.X("group:N", title=None, axis=slanted)
    feature = alt.Y("feature:N", title=None)
    scale = alt.Scale(scheme="brownbluegreen", domain=[-1.5, 1.5], clamp=True)
    colour = alt.Color("mean:Q", title="SD from the mean", scale=scale)
    cells = data.mark_rect().encode(x=group, y=feature, color=colour)
    ink = alt.condition(
        "abs(datum.mean) < 0.9", alt.value(LIGHT.text), alt.value("#ffffff")
    )
    text = data.mark_text(fontSize=11).encode(
        x=group, y=feature, text=alt.Text("mean:Q", format="+.1f"), color=ink
    )
    height = len({row["feature"] for row in rows}) * 26
    return alt.layer(cells, text).properties(width=_WIDTH - 160, height=height)


def rates(counts: Mapping[str, tuple[int, Estimate]]) -> Drawing:
    """Return rates with their intervals, in the order given.

    Args:
        counts: Accounts and their rate, by group.
    """
    rows = [
        {
            "group": f"{name} ({accounts:,})",
            "rate": rate.value,
            "low": rate.low,
            "high": rate.high,
        }
        for name, (accounts, rate) in counts.items()
    ]
    group = alt.Y("group:N", title=None, sort=None)
    data = _chart(rows)
    axis = alt.Axis(format=".0%", tickCount=6)
    span = data.mark_rule(strokeWidth=2.5, color=LIGHT.treated).encode(
        y=group, x=alt.X("low:Q", title="Came back", axis=axis), x2="high:Q"
    )
    dot = data.mark_circle(size=90, opacity=1, color=LIGHT.treated).encode(
        y=group, x="rate:Q"
    )
    height = max(1, len(rows)) * _ROW_HEIGHT
    return alt.layer(span, dot).properties(width=_WIDTH - 160, height=height)


def gain_curve(accounts: Sequence[float], gain: Sequence[float]) -> Drawing:
    """Return what mailing the first so many accounts brings, beside any other order.

    Args:
        accounts: How many were mailed, from 0 to all.
        gain: How many came back because of it.
    """
    step = max(1, len(accounts) // _MOST_POINTS)
    places = sorted({*range(0, len(accounts), step), len(accounts) - 1})
    rows: list[dict[str, Any]] = [
        {"share": accounts[i] / accounts[-1], "gain": gain[i]} for i in places
    ]
    share = alt.X("share:Q", title="Share mailed", axis=alt.Axis(format=".0%"))
    brought = alt.Y("gain:Q", title="Accounts brought back by the mails")
    line = _chart(rows).mark_line(strokeWidth=2.5, color=LIGHT.treated)
    ends: list[dict[str, Any]] = [
        {"share": 0, "gain": 0},
        {"share": 1, "gain": gain[-1]},
    ]
    straight = _chart(ends).mark_line(
        color=LIGHT.text, strokeDash=[6, 4], strokeWidth=1
    )
    chart = alt.layer(
        straight.encode(x=share, y=brought), line.encode(x=share, y=brought)
    )
    return chart.properties(width=_WIDTH, height=_HEIGHT)


def _lift(row: dict[str, Any]) -> float:
    return float(row["lift"])


def _chart(rows: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows))


def svg(chart: Drawing) -> str:
    """Return a chart as SVG for a light page, on a ground that shows through."""
    import vl_convert

    styled = _styled(chart, ground="transparent", letters=14)
    return str(vl_convert.vegalite_to_svg(styled))


def darkened(drawn: str) -> str:
    """Return the SVG of a chart for a dark page."""
    for light, dark in zip(LIGHT, DARK, strict=True):
        drawn = drawn.replace(light, dark)
    return drawn


def png(chart: Drawing) -> bytes:
    """Return a chart as a picture on white, for mails: they show no SVG."""
    import vl_convert

    styled = _styled(chart, ground="white", letters=15)
    return bytes(vl_convert.vegalite_to_png(styled, scale=_PIXELS))


def _styled(chart: Drawing, *, ground: str, letters: int) -> dict[str, Any]:
    styled: dict[str, Any] = (
        chart.configure(background=ground, font=_FONT)
        .configure_axis(
            labelColor=LIGHT.text,
            titleColor=LIGHT.text,
            gridColor=LIGHT.grid,
            domainColor=LIGHT.grid,
            tickColor=LIGHT.grid,
            labelFontSize=letters,
            titleFontSize=letters,
            titleFontWeight="normal",
            labelLimit=200,
        )
        .configure_legend(labelColor=LIGHT.text, labelFontSize=letters)
        .configure_view(stroke=None)
        .to_dict()
    )
    return styled
