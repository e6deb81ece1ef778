"""`winback campaign status`: counts with their reasons, and that they add up."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from campaigns.domain.words import CampaignState
from campaigns.store import (
    campaigns,
    cohorts,
)
from campaigns.wiring.workspace import Workspace


def print_status(workspace: Workspace, name: str) -> None:
    """Print enrolments, refusals and messages of a campaign."""
    with workspace.sessions.begin() as session:
        found = campaigns.status(session, name)
        churned = cohorts.churned_in_latest_cohort(session, name)
    print(f"{found.name}: {found.state}, version {found.version}")
    if found.paused_at:
        print(f"  since {found.paused_at:%Y-%m-%d %H:%M} UTC: {found.paused_because}")
    if found.may_post is not None and found.state is CampaignState.RUNNING:
        print(
            f"  rolling out: at most {found.may_post:,} mails until more is known of "
            "those that went out"
        )
    print(f"  cohorts: {found.cohorts_enrolled} of {found.cohorts_planned} enrolled")
    if found.next_cohort_at:
        print(f"  next cohort: {found.next_cohort_at:%Y-%m-%d %H:%M} UTC")
    table = Table(box=None, padding=(0, 2), show_header=False)
    _add(table, "enrolled so far", found.enrolled)
    if found.cohorts_enrolled:
        _add(table, f"not enrolled by the latest cohort, of {churned:,}", found.refused)
    _add(table, "messages", found.messages)
    _add(table, "of these skipped, because", found.skipped)
    if found.unmade:
        _add(table, "of these refused or in doubt, mostly because", found.unmade)
    Console().print(table)
    print("Gmail reports no complaints to SES: those of its users are not counted.")


def _add(table: Table, title: str, counts: Mapping[str, int]) -> None:
    table.add_row(f"[bold]{title}[/bold]", f"[bold]{sum(counts.values()):,}[/bold]")
    for word, count in counts.items():
        table.add_row(f"  {escape(word.replace('_', ' '))}", f"{count:,}")
