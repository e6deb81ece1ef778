"""`winback reconcile`: our totals beside SES's, and what does not add up."""

from datetime import timedelta
from functools import partial

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from campaigns.mail.ses_account import SesAccount
from campaigns.steps.reconcile import Reconciliation, reconcile
from campaigns.wiring.sending import make_clients, ses_endpoint
from campaigns.wiring.workspace import Workspace


def reconcile_days(workspace: Workspace, *, days: int) -> bool:
    """Print how the last whole days compare; say whether all adds up."""
    sending = workspace.settings.sending
    with ses_endpoint(workspace) as endpoint:
        ses, _ = make_clients(workspace, endpoint)
        found = reconcile(
            workspace.sessions,
            partial(
                SesAccount(ses).totals, configuration_set=sending.configuration_set
            ),
            days=days,
            now=workspace.clock(),
        )
    console = Console(highlight=False)
    console.print(_totals(found))
    for each in found.mismatched:
        posted = f"{each.posted_at:%Y-%m-%d %H:%M:%S}" if each.posted_at else "–"
        console.print(
            f"message {each.message}: {_word(each.mismatch)} (it is {each.state}), "
            f"{escape(each.campaign)}, posted {posted}",
            soft_wrap=True,
        )
    console.print(_verdict(found))
    return found.agrees


def _totals(found: Reconciliation) -> Table:
    table = Table("day (UTC)", "what", box=None, padding=(0, 2, 0, 0))
    for name in ("SES", "ours", "difference"):
        table.add_column(name, justify="right")
    for each in found.totals:
        difference = f"{each.difference:+,}" if each.difference else "0"
        table.add_row(
            f"{each.day}",
            _word(each.total),
            f"{each.by_ses:,}",
            f"{each.by_us:,}",
            f"[red]{difference}[/]" if each.difference else difference,
        )
    return table


def _verdict(found: Reconciliation) -> str:
    span = f"from {found.start} to {found.end - timedelta(days=1)}"
    if found.agrees:
        return f"Difference 0 {span}."
    differing = sum(bool(each.difference) for each in found.totals)
    return (
        f"[bold]{differing} totals differ[/] {span}, "
        f"and {len(found.mismatched)} messages do not add up."
    )


def _word(word: str) -> str:
    return word.lower().replace("_", " ")
