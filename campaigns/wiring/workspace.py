"""A workspace, opened: its settings, database, lake, folders and clock."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from campaigns.clock import Clock, SimulatedClock, system_clock
from campaigns.config import Settings, as_bytes, read_settings
from campaigns.domain.addresses import hash_address
from campaigns.mail.templates import Templates
from campaigns.present.report import WeeklyReport
from campaigns.rules.policy import Policy
from campaigns.shipped import templates_folder
from campaigns.steps import enrol, import_file, score
from campaigns.steps.compare import Baseline
from campaigns.steps.copies import CopyGuard
from campaigns.steps.settle import SettleResult, settle
from campaigns.steps.verdicts import Reporting
from campaigns.store import instance, schema
from campaigns.store.session import (
    Engine,
    Sessions,
    make_sessions,
    open_engine,
)
from campaigns.store.usage import UsageLake
from campaigns.store.watermark import Watermark

_STARTS_WITHIN_SECONDS: Final = 20
_READ_TIMEOUT_SECONDS: Final = 60
_CONNECT_TIMEOUT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Workspace:
    """An open workspace: its settings, database, lake, folders and clock."""

    root: Path
    settings: Settings
    engine: Engine
    sessions: Sessions
    clock: Clock

    @property
    def lake(self) -> UsageLake:
        """The usage events."""
        return UsageLake(self.root / "usage")

    @property
    def watermark(self) -> Watermark:
        """How far this workspace had come, kept outside its database."""
        return _watermark(self.root)

    @property
    def segments_file(self) -> Path:
        """The taxonomy."""
        return self.root / "segments.toml"

    @property
    def reports_folder(self) -> Path:
        """Where reports are written."""
        return self.root / "reports"

    @property
    def mails_folder(self) -> Path:
        """Where the local SES keeps mails."""
        return self.root / "mails"

    @property
    def template_folders(self) -> tuple[Path, Path]:
        """Where e-mail templates lie: the workspace's own before the shipped ones."""
        return self.root / "templates" / "email", templates_folder() / "email"

    def templates(self) -> Templates:
        """Return the e-mail templates."""
        return Templates(self.template_folders)

    def learning(self) -> score.Learning:
        """Return what training and scoring work with."""
        return score.Learning(
            self.sessions,
            self.lake,
            self.settings.churn.definition(),
            self.settings.win_back.definition(),
            self.segments_file,
            self.root / "models",
            self.root / "snapshots",
            self.settings.learning.costs,
            self.settings.learning.promotes,
        )

    def address_hash(self) -> Callable[[str], str]:
        """Return what turns an address into its keyed hash."""
        return partial(hash_address, key=as_bytes(self.settings.secrets.address_key))

    def guard(self, *, is_simulated: bool) -> CopyGuard:
        """Return what tells a copy of the database from the original."""
        return CopyGuard(self.sessions, self.watermark, notices_sleep=not is_simulated)

    def settle(self, now: datetime) -> SettleResult:
        """Settle returns and closed windows as of a moment."""
        return settle(
            self.sessions,
            self.lake,
            definition=self.settings.win_back.definition(),
            now=now,
        )

    def import_place(self) -> import_file.Workplace:
        """Return where imports read from and write to."""
        return import_file.Workplace(
            self.sessions,
            self.lake,
            self.root / "rejects",
            self.address_hash(),
            self.clock,
        )

    def programme(self) -> enrol.Programme:
        """Return what holds for all campaigns."""
        settings = self.settings
        return enrol.Programme(
            as_bytes(settings.secrets.holdout_key),
            settings.programme.holdout_share,
            settings.win_back.definition(),
            settings.programme.default_time_zone,
            Policy(settings.learning.least_uplift, settings.learning.exploration_share),
        )

    def reporting(self) -> Reporting:
        """Return what reports are made with."""
        from campaigns.scoring.known import read_segments

        settings = self.settings
        titles = {each.name: each.title for each in read_segments(self.segments_file)}
        return Reporting(
            self.sessions,
            self.lake,
            settings.company.name,
            settings.churn.definition(),
            settings.win_back.definition(),
            Baseline(settings.programme.baseline, settings.programme.baseline_accounts),
            titles | {"general": "Unsure (general mail)"},
            settings.programme.unheard_of_lift,
        )


def open_workspace(root: Path, *, clock: Clock | None = None) -> Workspace:
    """Open the workspace at `root`.

    Args:
        root: Its folder.
        clock: The time; None for ours or, in a workspace that was simulated, for the
            moment its simulated time has come to.

    Raises:
        ConfigError: Its settings are wrong, or its database is not at this version.
    """
    settings = read_settings(root)
    engine = open_engine(_database_url(root, settings.database.url))
    if not schema.is_current(engine):
        schema.upgrade(engine)
    sessions = make_sessions(engine, _watermark(root))
    with sessions.begin() as session:
        instance.create(session, name=os.urandom(4).hex(), now=system_clock())
        simulated = instance.simulated_until(session)
    if clock is None:
        clock = SimulatedClock(simulated) if simulated else system_clock
    return Workspace(root, settings, engine, sessions, clock)


def _watermark(root: Path) -> Watermark:
    return Watermark(root / "sent-up-to.json")


def _database_url(root: Path, url: str) -> str:
    scheme, _, path = url.partition("sqlite:///")
    if scheme or path.startswith("/"):
        return url
    return f"sqlite:///{(root / path).absolute()}"


def publish(workspace: Workspace, weekly: WeeklyReport) -> Path:
    """Write a report as HTML, Markdown and JSON; return the HTML file."""
    from campaigns.present.pages import Pages  # imports altair

    pages = Pages(templates_folder())
    folder = workspace.reports_folder
    folder.mkdir(parents=True, exist_ok=True)
    html = folder / f"{weekly.week}.html"
    for path, text in (
        (html, pages.report_html(weekly)),
        (html.with_suffix(".md"), pages.report_markdown(weekly)),
        (html.with_suffix(".json"), weekly.json()),
    ):
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.replace(path)
    return html


def simulated(
    workspace: Workspace, *, start: datetime
) -> tuple[Workspace, SimulatedClock]:
    """Return the workspace with a clock that begins at `start` or where it stood."""
    with workspace.sessions.begin() as session:
        stood_at = instance.simulated_until(session)
    clock = SimulatedClock(max(start, stood_at) if stood_at else start)
    with workspace.sessions.begin() as session:
        instance.simulate_until(session, clock())
    return (
        Workspace(
            workspace.root,
            workspace.settings,
            workspace.engine,
            workspace.sessions,
            clock,
        ),
        clock,
    )
