"""`winback`: the commands.

Every command imports what it needs when it runs, so `winback --help` answers at once.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from campaigns.cli import campaign, held, models, suppress
from campaigns.cli.options import WorkspaceOption
from campaigns.errors import WinbackError

app = typer.Typer(
    name="winback",
    help="Brings churned accounts back by e-mail, and proves that it did.",
    no_args_is_help=True,
    add_completion=False,
    # Its traceback shows local variables, and one could hold a secret or an address.
    pretty_exceptions_enable=False,
)
app.add_typer(campaign.app, name="campaign")
app.add_typer(held.app, name="held")
app.add_typer(models.app, name="models")
app.add_typer(suppress.app, name="suppress")


def run() -> None:
    """Run the command line; what a person can act on is told without a traceback."""
    from campaigns.cli.logs import configure_logs

    try:
        configure_logs()
        app()
    except WinbackError as error:
        print(f"winback: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        from campaigns.store.session import database_trouble

        trouble = database_trouble(error)
        if trouble is None:
            raise
        print(f"winback: the database cannot be used: {trouble}", file=sys.stderr)
        sys.exit(1)


@app.command()
def init(directory: Path) -> None:
    """Make a workspace: settings, secrets, starter campaigns, templates, folders."""
    from campaigns.cli.workspace import make_workspace

    make_workspace(directory)
    print(f"A workspace is in {directory}.")
    print(f"Next: read {directory / 'winback.toml'}, then")
    print(f"  winback doctor -w {directory}")


@app.command()
def doctor(
    what: Annotated[
        str, typer.Argument(help="all, or data: what is odd about the imported data")
    ] = "all",
    workspace: WorkspaceOption = Path(),
) -> None:
    """Say what is configured, reachable, stale, wrong or odd, each with its remedy."""
    from campaigns.cli.checks import print_checks
    from campaigns.cli.data_checks import print_oddities
    from campaigns.errors import NotFoundError
    from campaigns.wiring.workspace import open_workspace

    if what == "data":
        print_oddities(open_workspace(workspace))
        return
    if what != "all":
        raise NotFoundError(f"there is nothing called {what!r} to look at; try: data")
    if not print_checks(workspace):
        sys.exit(1)


@app.command()
def status(
    job: Annotated[
        str | None, typer.Argument(help="its latest runs; default: the last of each")
    ] = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Say what ran, what is due next and what is stuck; exit 1 if anything is."""
    from campaigns.cli.overview import print_overview
    from campaigns.wiring.workspace import open_workspace

    if not print_overview(open_workspace(workspace), job=job):
        sys.exit(1)


@app.command("import")
def import_(
    kind: Annotated[
        str,
        typer.Argument(
            help="accounts, contacts, subscriptions, tickets, nps, mailings, usage, "
            "labels, releases or suppressions; all takes a folder"
        ),
    ],
    files: Annotated[
        list[Path], typer.Argument(help="CSV, JSON Lines (also .gz) or Parquet")
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--map", help="a mapping file (TOML), a folder of them, or: ravenstack"
        ),
    ] = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Import records; every row ends taken, unchanged or rejected with its reason."""
    from campaigns.cli.imports import import_files
    from campaigns.wiring.workspace import open_workspace

    rejected = import_files(open_workspace(workspace), kind, files, mapping)
    if rejected:
        sys.exit(2)


@app.command()
def train(
    what: Annotated[
        str, typer.Argument(help="segments, propensity or uplift")
    ] = "segments",
    as_of: Annotated[
        datetime | None, typer.Option(help="learn from what was known then (UTC)")
    ] = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Learn segments, who comes back (propensity), or whom a mail helps (uplift)."""
    from campaigns.cli.learning import train as train_one
    from campaigns.wiring.workspace import open_workspace

    train_one(open_workspace(workspace), what, as_of=as_of)


@app.command()
def learn(workspace: WorkspaceOption = Path()) -> None:
    """Learn all kinds of models from what happened, and propose what is better."""
    from campaigns.cli.learning import learn_all
    from campaigns.wiring.workspace import open_workspace

    learn_all(open_workspace(workspace))


@app.command()
def discover(workspace: WorkspaceOption = Path()) -> None:
    """Look for groups among churned accounts that could become segments."""
    from campaigns.cli.discovering import discover as discover_groups
    from campaigns.wiring.workspace import open_workspace

    discover_groups(open_workspace(workspace))


@app.command()
def notebook(
    run: Annotated[
        bool, typer.Option("--run", help="run all of them; open none")
    ] = False,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Open the notebooks on the workspace's data (needs winback[notebook])."""
    from campaigns.cli.notebook import open_notebooks
    from campaigns.wiring.workspace import open_workspace

    open_notebooks(open_workspace(workspace), runs=run)


@app.command()
def score(
    as_of: Annotated[
        datetime | None, typer.Option(help="score what was known then (UTC)")
    ] = None,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Find who churned, and give each account its segment and the reasons."""
    from campaigns.cli.learning import score_accounts
    from campaigns.wiring.workspace import open_workspace

    score_accounts(open_workspace(workspace), as_of=as_of)


@app.command("run")
def run_(
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="FROM..UNTIL",
            help="let simulated time pass, with mails to the local SES only",
        ),
    ] = None,
    page: Annotated[
        bool, typer.Option(help="serve the unsubscribe page, too, or let another")
    ] = True,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Run scheduler, sender, receiver and the unsubscribe page in one process."""
    from campaigns.cli.running import run_for_real, run_simulated
    from campaigns.wiring.workspace import open_workspace

    if simulate is None:
        run_for_real(open_workspace(workspace), with_page=page)
    else:
        run_simulated(open_workspace(workspace), simulate)


@app.command()
def serve(workspace: WorkspaceOption = Path()) -> None:
    """Serve the unsubscribe page only, whether `winback run` runs or not."""
    from campaigns.cli.running import serve_page
    from campaigns.wiring.workspace import open_workspace

    serve_page(open_workspace(workspace))


@app.command()
def worker(workspace: WorkspaceOption = Path()) -> None:
    """Send only, beside `winback run` and other workers: for PostgreSQL."""
    from campaigns.cli.running import run_worker
    from campaigns.wiring.workspace import open_workspace

    run_worker(open_workspace(workspace))


@app.command("accept-copy")
def accept_copy(workspace: WorkspaceOption = Path()) -> None:
    """Let a restored or copied database be sent from: a person has looked."""
    from campaigns.cli.copies import accept_database
    from campaigns.wiring.workspace import open_workspace

    accept_database(open_workspace(workspace))


@app.command()
def reconcile(
    days: Annotated[
        int, typer.Option(min=1, max=90, help="whole days (UTC) before today")
    ] = 14,
    workspace: WorkspaceOption = Path(),
) -> None:
    """Tie our totals to SES's, day by day, and list what does not add up."""
    from campaigns.cli.reconciling import reconcile_days
    from campaigns.wiring.workspace import open_workspace

    if not reconcile_days(open_workspace(workspace), days=days):
        raise typer.Exit(1)


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="of the first trial; replays it")] = 1,
    trials: Annotated[int, typer.Option(min=1, help="how many, seed after seed")] = 1,
) -> None:
    """Try the engine in small worlds where everything goes wrong, and check it."""
    from campaigns.cli.simulating import run_trials

    run_trials(seed=seed, trials=trials)


@app.command("ses-local")
def ses_local(
    folder: Annotated[
        Path, typer.Option(help="where mails and the queue are kept")
    ] = Path("mails"),
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8026,
    max_per_second: Annotated[float, typer.Option(min=0.1)] = 50,
    max_per_day: Annotated[float, typer.Option(min=1)] = 50_000,
    configuration_set: Annotated[
        list[str] | None, typer.Option(help="one that exists; may be given again")
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(help="an address or domain mails may be from; none: all"),
    ] = None,
    recipients: Annotated[
        Path | None, typer.Option(help="a CSV of address and behaviour")
    ] = None,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", help="end when standard input closes")
    ] = False,
) -> None:
    """Serve a local stand-in for Amazon SES: mails as files and pages, and faults."""
    from campaigns.clock import system_clock
    from campaigns.mail.local_ses.server import serve
    from campaigns.mail.local_ses.ses import Limits
    from campaigns.present.pages import Pages
    from campaigns.shipped import templates_folder
    from campaigns.web.mailbox import Mailbox

    limits = Limits(
        max_per_second,
        max_per_day,
        tuple(configuration_set or ["winback"]),
        tuple(identity or []),
    )
    serve(
        folder,
        port=port,
        clock=system_clock,
        limits=limits,
        recipients=recipients,
        stop_with_stdin=stop_with_stdin,
        announce=lambda line: print(line, flush=True),
        pages=lambda ses: Mailbox(ses, Pages(templates_folder())).routes(),
    )


@app.command()
def report(
    week: Annotated[
        str | None, typer.Option(metavar="YYYY-Www", help="counted up to its end")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="html, md, json, csv or slack")
    ] = "html",
    workspace: WorkspaceOption = Path(),
) -> None:
    """Write the win-back report: the verdict first, then the numbers."""
    from campaigns.cli.reporting import write_report
    from campaigns.wiring.workspace import open_workspace

    write_report(open_workspace(workspace), week=week, format_=format_)


@app.command()
def explain(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="as in the report, or in its CSV")
    ],
    limit: Annotated[int, typer.Option(min=0, help="rows to show")] = 20,
    as_csv: Annotated[bool, typer.Option("--csv", help="write all rows")] = False,
    workspace: WorkspaceOption = Path(),
) -> None:
    """List the rows that a number of a report was counted from."""
    from campaigns.cli.explaining import explain_number
    from campaigns.wiring.workspace import open_workspace

    explain_number(open_workspace(workspace), id_, limit=limit, as_csv=as_csv)


@app.command()
def measure(
    file: Annotated[Path, typer.Option(help="a row for each account")],
    treatment: Annotated[str, typer.Option(help="the column that names the arm")],
    outcome: Annotated[str, typer.Option(help="its column: 0 or 1, or an amount")],
    control: Annotated[
        str | None, typer.Option(help="the arm that got nothing; default: by its name")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="a column of what was known before, an amount")
    ] = None,
    mailed: Annotated[
        str | None, typer.Option(help="a column of how often it was written to")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="which rows, such as 'recency >= 7'")
    ] = None,
    control_share: Annotated[
        float | None,
        typer.Option(help="of control in each pair, as planned", min=0.01, max=0.99),
    ] = None,
) -> None:
    """Say what any randomised trial shows, from a file; needs no workspace."""
    from campaigns.cli.measuring import print_trial

    print_trial(
        file,
        treatment=treatment,
        outcome=outcome,
        control=control,
        before=before,
        mailed=mailed,
        where=where,
        control_share=control_share,
    )


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument()] = Path("demo"),
    accounts: Annotated[int, typer.Option(min=200)] = 3000,
    seed: int = 7,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="an empty PostgreSQL; default: SQLite"),
    ] = None,
) -> None:
    """Run the whole story on an embedded world, from import to report, in 16 weeks."""
    from campaigns.cli.demo import run_demo

    run_demo(directory, accounts=accounts, seed=seed, database=database)
