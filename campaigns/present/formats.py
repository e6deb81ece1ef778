"""A report for other programs: CSV, one line a number, and blocks for Slack."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final

from campaigns.domain.words import Verdict
from campaigns.present import remarks
from campaigns.present.number_ids import report_numbers
from campaigns.present.report import CampaignReport, Programme, WeeklyReport
from campaigns.present.words import day, percent, points

_MOST_CHARACTERS: Final = 3000
_MOST_CAMPAIGNS: Final = 23  # of two blocks each; Slack takes fifty
_SIGNS: Final = {
    Verdict.WORKS: ":large_green_circle:",
    Verdict.HARMS: ":red_circle:",
    Verdict.MISMATCH: ":warning:",
    Verdict.STALE_DATA: ":warning:",
    Verdict.TOO_GOOD: ":warning:",
}


def report_csv(report: WeeklyReport) -> str:
    """Return every number of a report with its id, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "value"])
    writer.writerows(report_numbers(report))
    return text.getvalue()


def report_slack(report: WeeklyReport) -> str:
    """Return the report as JSON that a Slack webhook takes.

    Source: Slack, "Block Kit": https://docs.slack.dev/block-kit
    """
    title = f"{report.company}: win-back report, week {report.week}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:150]}}
    ]
    if report.programme is not None:
        of_all = _headline("All campaigns together", report.programme)
        blocks.append({"type": "section", "text": _mrkdwn(of_all)})
    for campaign in report.campaigns[:_MOST_CAMPAIGNS]:
        blocks += [
            {
                "type": "section",
                "text": _mrkdwn(_headline(campaign.name, campaign, campaign.changes)),
            },
            {"type": "section", "fields": [_mrkdwn(each) for each in _facts(campaign)]},
        ]
    if left := len(report.campaigns[_MOST_CAMPAIGNS:]):
        more = _mrkdwn(f"… and {left} more campaigns, in the report.")
        blocks.append({"type": "section", "text": more})
    if not report.campaigns:
        empty = _mrkdwn("No campaign was launched yet.")
        blocks.append({"type": "section", "text": empty})
    known = day(report.known_until) if report.known_until else "no date"
    foot = f"Returns are known up to {known}. Win-back: {report.win_back_definition}."
    blocks.append({"type": "context", "elements": [_mrkdwn(foot)]})
    content = {"text": title, "blocks": blocks}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _headline(
    name: str, found: Programme | CampaignReport, changes: Sequence[str] = ()
) -> str:
    sign = _SIGNS.get(found.verdict, ":hourglass_flowing_sand:")
    lines = [
        f"{sign} *{name}*",
        found.sentence,
        f"*What to do:* {found.next_step}",
        *(f":warning: {each}" for each in found.warnings),
        *(f"• {each}" for each in changes),
    ]
    return "\n".join(lines)


def _facts(campaign: CampaignReport) -> list[str]:
    all_of = campaign.comparison
    rates = (("Written to", all_of.treated_rate), ("Held out", all_of.holdout_rate))
    return [
        *(
            f"*{name}*\n{percent(rate.value)} came back" if rate else f"*{name}*\n–"
            for name, rate in rates
        ),
        f"*Difference*\n{points(all_of.lift) if all_of.lift else '–'}",
        f"*Unsubscribed*\n{campaign.funnel.unsubscribed:,}",
        *(
            f"*Revenue*\n{remarks.money_sentence(line, campaign.verdict)}"
            for line in campaign.money[:3]
        ),
    ]


def _mrkdwn(text: str) -> dict[str, str]:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"type": "mrkdwn", "text": escaped[:_MOST_CHARACTERS]}
