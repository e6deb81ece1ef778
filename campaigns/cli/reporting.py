"""`winback report`."""

from collections.abc import Callable
from typing import Final

from campaigns.errors import ConfigError
from campaigns.present import formats
from campaigns.present.pages import Pages
from campaigns.present.report import WeeklyReport
from campaigns.shipped import templates_folder
from campaigns.steps import report, verdicts
from campaigns.wiring.workspace import Workspace, publish

_PRINTED: Final[dict[str, Callable[[WeeklyReport], str]]] = {
    "md": lambda weekly: Pages(templates_folder()).report_markdown(weekly),
    "json": WeeklyReport.json,
    "csv": formats.report_csv,
    "slack": formats.report_slack,
}


def write_report(workspace: Workspace, *, week: str | None, format_: str) -> None:
    """Print or write one week's report; as HTML, the verdicts are printed too.

    Raises:
        ConfigError: The week or the format is not one.
    """
    if format_ != "html" and format_ not in _PRINTED:
        raise ConfigError(
            f"there is no format {format_!r}; there are html, {', '.join(_PRINTED)}"
        )
    now = workspace.clock()
    reporting = workspace.reporting()
    workspace.settle(now)
    verdicts.give_verdicts(reporting, now=now)
    weekly = report.of_week(reporting, week or report.week_of(now), now=now)
    if format_ != "html":
        print(_PRINTED[format_](weekly), end="")
        return
    path = publish(workspace, weekly)
    for campaign in weekly.campaigns:
        print(f"{campaign.name}: {campaign.sentence}")
    print(f"The report is in {path}")
