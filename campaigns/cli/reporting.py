"""`winback report`."""

from campaigns.errors import ConfigError
from campaigns.present.pages import Pages, report_json
from campaigns.shipped import templates_folder
from campaigns.steps import report
from campaigns.wiring.workspace import Workspace, publish


def write_report(workspace: Workspace, *, week: str | None, format_: str) -> None:
    """Print or write one week's report; the verdicts are printed in any case.

    Raises:
        ConfigError: The week or the format is not one.
    """
    if format_ not in {"html", "md", "json"}:
        raise ConfigError(f"there is no format {format_!r}; there are html, md, json")
    now = workspace.clock()
    as_of = min(report.end_of_week(week), now) if week else now
    reporting = workspace.reporting()
    workspace.settle(now)
    report.give_verdicts(reporting, now=now)
    weekly = report.gather(reporting, as_of=as_of)
    if format_ == "md":
        print(Pages(templates_folder()).report_markdown(weekly))
        return
    if format_ == "json":
        print(report_json(weekly), end="")
        return
    path = publish(workspace, weekly)
    for campaign in weekly.campaigns:
        print(f"{campaign.name}: {campaign.sentence}")
    print(f"The report is in {path}")
