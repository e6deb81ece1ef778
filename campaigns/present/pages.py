"""A report as HTML (one self-contained page), Markdown or JSON, and small web pages."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from campaigns.domain.values import Picture
from campaigns.present import charts, remarks, words
from campaigns.present.cards import Card
from campaigns.present.lines import CohortLine, ProgrammeLook
from campaigns.present.number_ids import ALL, id_part
from campaigns.present.report import CampaignReport, WeeklyReport

_LONGEST_SUBJECT: Final = 150
_MOST_PICTURES: Final = 3  # of a sixth of a megabyte each


class Pages:
    """Draws reports and pages from the templates of a folder.

    Args:
        folder: Holds `report/` and `pages/`.
    """

    def __init__(self, folder: Path) -> None:
        self._environment = _environment(folder)

    def report_html(self, report: WeeklyReport) -> str:
        """Return the report as one HTML page that needs nothing else."""
        drawings = {each.name: _drawings(report, each) for each in report.campaigns}
        if report.programme is not None:
            drawings[ALL] = _over_time(report, report.programme.looks)
        template = self._environment.get_template("report/weekly.html")
        return _unbroken(template.render(report=report, drawings=drawings, all_id=ALL))

    def card_html(self, card: Card) -> str:
        """Return a model's card as one HTML page that needs nothing else."""
        drawings = {}
        if card.bins:
            drawings = _drawn(charts.stated_and_kept(card.bins, kept=card.kept))
        template = self._environment.get_template("report/card.html")
        return _unbroken(template.render(card=card, drawings=drawings))

    def card_markdown(self, card: Card) -> str:
        """Return a model's card as Markdown."""
        template = self._environment.get_template("report/card.md")
        return template.render(card=card).strip() + "\n"

    def report_markdown(self, report: WeeklyReport) -> str:
        """Return the report as Markdown."""
        template = self._environment.get_template("report/weekly.md")
        return template.render(report=report)

    def report_mail(
        self, report: WeeklyReport
    ) -> tuple[str, str, str, tuple[Picture, ...]]:
        """Return the report as a mail: subject, HTML, text and the HTML's pictures."""
        template = self._environment.get_template("report/mail.html")
        verdicts = [(each.name, each.verdict) for each in report.campaigns]
        if report.programme is not None:
            verdicts.insert(0, ("all campaigns", report.programme.verdict))
        words_of_all = ", ".join(
            f"{name}: {words.plain_word(verdict)}" for name, verdict in verdicts
        )
        subject = f"Win-back, week {report.week}"
        subject += f" – {words_of_all}" if words_of_all else ""
        pictures = _pictures(report)
        shown = {each.name for each in pictures}
        html = _unbroken(template.render(report=report, shown=shown, all_id=ALL))
        text = self.report_markdown(report)
        return subject[:_LONGEST_SUBJECT], html, text, pictures

    def page(self, name: str, **facts: Any) -> str:  # noqa: ANN401
        """Return one of the small web pages."""
        return self._environment.get_template(f"pages/{name}.html").render(**facts)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Return how templates are filled: to read them takes longer than to fill them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "points": words.points,
        "number": words.number,
        "day": words.day,
        "nps": words.nps,
        "plain": words.plain_word,
        "stands": remarks.stands,
        "money": remarks.money_sentence,
        "code": _with_code,
        "id_part": id_part,
    }
    return environment


def _with_code(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence)))
    return Markup(marked)  # noqa: S704 — escaped above


def _unbroken(html: str) -> str:
    """Return a page on which no line begins with a percent sign."""
    return re.sub(r" %(?=[^<>]*<)", "\N{NO-BREAK SPACE}%", html)


def _pictures(report: WeeklyReport) -> tuple[Picture, ...]:
    """Return the rates over time of all campaigns together, and of the first few."""
    looks: dict[str, Sequence[CohortLine | ProgrammeLook]] = {
        each.name: each.cohorts for each in report.campaigns if each.has_counts
    }
    if report.programme is not None:
        looks = {ALL: report.programme.looks, **looks}
    return tuple(
        Picture(
            name, charts.png(charts.rates_over_time(each, baseline=report.baseline))
        )
        for name, each in list(looks.items())[:_MOST_PICTURES]
    )


def _drawings(report: WeeklyReport, campaign: CampaignReport) -> dict[str, Markup]:
    """Return each chart in both schemes; the page shows the one that fits."""
    if not campaign.has_counts:
        return {}
    by_group = charts.lift_by_group(campaign.breakdowns[0].lines)
    return _over_time(report, campaign.cohorts) | _drawn(by_group, "lifts_")


def _over_time(
    report: WeeklyReport, looks: Sequence[CohortLine | ProgrammeLook]
) -> dict[str, Markup]:
    rates = charts.rates_over_time(looks, baseline=report.baseline)
    return _drawn(rates, "rates_") | _drawn(charts.lift_over_time(looks), "lift_")


def _drawn(chart: charts.Drawing, name: str = "") -> dict[str, Markup]:
    """Return a chart in both schemes, by name and scheme."""
    light = charts.svg(chart)
    drawn = {"light": light, "dark": charts.darkened(light)}
    # Drawn by us: nothing in it is anybody's markup.
    return {f"{name}{scheme}": Markup(each) for scheme, each in drawn.items()}  # noqa: S704
