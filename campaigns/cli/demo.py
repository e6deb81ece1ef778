"""`winback demo`: the ordinary commands in order, on an embedded world."""

import json
import shutil
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from rich.console import Console

from campaigns.cli.campaign import apply_, launch
from campaigns.cli.imports import import_files
from campaigns.cli.learning import score_accounts, train
from campaigns.cli.running import run_simulated
from campaigns.cli.workspace import make_workspace
from campaigns.domain.words import Arm
from campaigns.errors import ActionRefusedError
from campaigns.present.report import CampaignReport
from campaigns.rules.measure.strata import ArmPair, shares_of
from campaigns.schedule import Work
from campaigns.steps import ingest, report
from campaigns.store import enrolments
from campaigns.store.schema import is_empty
from campaigns.store.session import open_engine
from campaigns.wiring.workspace import Workspace, open_workspace, publish
from campaigns.world import Arrival, World, make_world

_LAUNCH: Final = date(2026, 1, 5)
_WEEKS: Final = 16
_MARKER: Final = "made by winback demo"
_UNSUBSCRIBE_SHARE: Final = 97  # one in so many of the mails' numbers


class Outcome(NamedTuple):
    """What the last report says of the campaign, and what is true.

    Attributes:
        campaign: What the report says.
        truth: What mails truly added to the chance of a return,
            each cohort weighing what it does in the report.
    """

    campaign: CampaignReport
    truth: float


def run_demo(
    root: Path, *, accounts: int, seed: int, database: str | None = None
) -> Outcome:
    """Run the whole story into the folder `root`, anew each time.

    Raises:
        ActionRefusedError: `root` holds something that no demo made, or `database`
            something at all.
    """
    console = Console()
    if database is not None and not is_empty(open_engine(database)):
        raise ActionRefusedError("the database holds tables already; name an empty one")
    _clear(root)
    _say(console, "init", f"a workspace in {root}")
    make_workspace(root, _keys_of(seed))
    (root / ".demo").write_text(_MARKER, "utf-8")
    days = _WEEKS * 7
    world = make_world(
        root / "world", seed=seed, accounts=accounts, launch=_LAUNCH, days=days + 1
    )
    _use_world(root, world, database)
    start = datetime.combine(_LAUNCH, time(), UTC)
    workspace, _ = _at(root, start)

    _say(console, "import", "what the company knows on the launch day")
    for kind, path in world.write_history().items():
        import_files(workspace, kind, [path], None)

    _say(console, "train", "segments, from labels that the success team gave")
    train(workspace, "segments", as_of=start)
    _say(console, "score", "the accounts that churned")
    score_accounts(workspace, as_of=start)

    _say(console, "campaign apply, launch", "two mails to everyone who left")
    apply_(root / "campaigns" / "win-back.toml", root)
    launch("win-back", start, anyway=True, workspace=root)

    until = start + timedelta(days=days)
    _say(console, "run --simulate", f"{_WEEKS} weeks: mails, events, returns")
    days_lived = _Days(world)
    run_simulated(
        workspace, f"{start.isoformat()}..{until.isoformat()}", each_day=days_lived
    )
    _say(console, "report", "")
    return _tell(console, root, world, days_lived)


def _keys_of(seed: int) -> Callable[[], str]:
    """Return what makes the demo's keys: no secrets, so that a demo can be repeated."""
    numbers = count()
    return lambda: sha256(f"demo/{seed}/{next(numbers)}".encode()).hexdigest()


def _say(console: Console, command: str, what: str) -> None:
    console.print(f"[bold]winback {command}[/bold]  {what}")


def _clear(root: Path) -> None:
    if root.exists() and any(root.iterdir()):
        if not (root / ".demo").exists():
            raise ActionRefusedError(
                f"{root} is not empty and was not made by a demo; name another folder"
            )
        shutil.rmtree(root)


def _use_world(root: Path, world: World, database: str | None) -> None:
    world.folder.mkdir(parents=True)
    world.write_recipients()
    settings = root / "winback.toml"
    text = settings.read_text("utf-8")
    old = '# recipients = "imports/recipients.csv"        # how'
    text = text.replace(old, 'recipients = "world/recipients.csv"           # how')
    if database is not None:
        text = text.replace("sqlite:///winback.db", database)
    text = text.replace("listen_port = 8025", "listen_port = 0")
    # Sixteen weeks pass in minutes: there is no time to learn in each of them.
    settings.write_text(text.replace("weekly = true ", "weekly = false"), "utf-8")


def _at(root: Path, moment: datetime) -> tuple[Workspace, datetime]:
    """Return the workspace with its simulated time at `moment`."""
    from campaigns.wiring.workspace import simulated

    workspace, clock = simulated(open_workspace(root), start=moment)
    return workspace, clock()


class _Days:
    """Lets the world live day by day: it gets the mails and gives new files."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen = 0
        self.mails = 0
        self.unsubscribed = 0

    def __call__(self, work: Work, endpoint: str, day: date) -> None:
        """Live the day before `day`, and import what came of it."""
        arrivals = []
        for mail in self._arrived(endpoint):
            if "wb_template" not in mail["tags"]:
                continue  # a canary: no person gets it
            arrivals.append(Arrival(mail["recipient"], mail["tags"]["wb_template"]))
            if mail["number"] % _UNSUBSCRIBE_SHARE == 0:
                _unsubscribe(mail["headers"]["List-Unsubscribe"].strip("<>"))
                self.unsubscribed += 1
        files = self._world.live_until(day, arrivals)
        for kind, path in files.items():
            ingest.ingest(kind, path, place=work.import_place)

    def _arrived(self, endpoint: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(  # noqa: S310 — our own loopback server
            f"{endpoint}/_local/mails?after={self._seen}"
        ) as answer:
            mails: list[dict[str, Any]] = json.load(answer)["mails"]
        if mails:
            self._seen = mails[-1]["number"]
        self.mails += len(mails)
        return mails


def _unsubscribe(url: str) -> None:
    """Do what a mail program's unsubscribe button does."""
    body = urlencode({"List-Unsubscribe": "One-Click"}).encode()
    with urllib.request.urlopen(url, body):  # noqa: S310 — our own loopback server
        pass


def _tell(console: Console, root: Path, world: World, days: _Days) -> Outcome:
    """Print the verdict, the truth beside it, and where everything lies."""
    workspace = open_workspace(root)
    reporting = workspace.reporting()
    weekly = report.gather(reporting, as_of=workspace.clock())
    html = publish(workspace, weekly)
    (campaign,) = weekly.campaigns
    with workspace.sessions.begin() as session:
        enrolled = enrolments.enrolled_at(session, campaign.name, Arm.TREATED)
    truth = true_lift(world, campaign, enrolled, window_days=weekly.window_days)
    console.print()
    console.print(f"[bold]{campaign.sentence}[/bold]", highlight=False)
    console.print(
        f"The truth, known to the world alone: mails added {truth * 100:+.1f} points.",
        highlight=False,
    )
    console.print(campaign.baseline_sentence, highlight=False)
    console.print()
    console.print(f"report  {html}", highlight=False)
    console.print(
        f"mails   {root / 'mails'} ({days.mails:,} .eml files)", highlight=False
    )
    return Outcome(campaign, truth)


def true_lift(
    world: World,
    campaign: CampaignReport,
    enrolled: Mapping[str, datetime],
    *,
    window_days: int,
) -> float:
    """Return what mails truly added, each cohort weighing what it does in the report.

    A small cohort of which nobody was held out weighs nothing there.
    """
    arms = [ArmPair(line.treated, line.holdout) for line in campaign.cohorts]
    added = [
        world.true_effect(
            {who: at for who, at in enrolled.items() if at.date() == line.enrolled_on},
            window_days=window_days,
        )
        for line in campaign.cohorts
    ]
    return sum(share * each for share, each in zip(shares_of(arms), added, strict=True))
