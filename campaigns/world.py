"""The door to models/ for the embedded demo world: it writes files, as a company would.

The world sees what the outside sees: mails that reached a mailbox. It never looks into
our database, and we never look at its truth, except to print it beside the verdict.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from models.synthetic import Company, Life, Mail, make_company
from models.synthetic.life import until

_FOLLOW_UP: Final = "-follow-up"
_SUBSCRIPTION: Final = (
    "id",
    "account",
    "plan",
    "plan_is_free",
    "seats",
    "mrr_minor",
    "currency",
    "started_at",
    "ended_at",
    "end_kind",
    "end_reason",
)
_RELEASES: Final = (
    ("2025-09-15", "Slack connector no longer times out", "integration.slack",
     "Large workspaces sync in the background; a lost connection resumes by itself."),
    ("2025-10-20", "Salesforce connector, rebuilt", "integration.salesforce",
     "Field mapping is checked before the first sync, and errors name the field."),
    ("2025-11-10", "Warehouse loads resume", "integration.warehouse",
     "A load that was cut off goes on where it stopped."),
    ("2025-11-24", "A checklist you can finish", "compliance.checklist",
     "Steps that wait for somebody else no longer block the rest."),
    ("2025-12-08", "API v2", "api.v1",
     "Stable ids, paging and webhooks; v1 keeps working."),
    ("2025-12-15", "Setting up in one page", "onboarding.wizard",
     "The wizard asks three questions and fills in the rest."),
)  # fmt: skip


class Arrival(NamedTuple):
    """A mail that arrived somewhere: the address and the template's name."""

    address: str
    template: str


@dataclass(slots=True)
class World:
    """A seeded company and its life after the launch, as files in a folder.

    Attributes:
        folder: Where the files go.
        company: The company.
        life: What happens to it.
    """

    folder: Path
    company: Company
    life: Life

    def write_history(self) -> dict[str, Path]:
        """Write what is known on the launch day; return the files by kind of record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        contracts, usage = until(self.company, self.company.launch)
        launch = self.company.launch.isoformat()
        tickets = [
            row | {"closed_at": row["closed_at"] if row["closed_at"] < launch else None}
            for row in self.company.tickets
            if row["opened_at"] < launch
        ]
        answers = [row for row in self.company.nps if row["at"] < launch]
        files = {
            "accounts": self._csv("accounts.csv", self.company.accounts),
            "contacts": self._csv(
                "contacts.csv", _with_blemishes(self.company.contacts)
            ),
            "subscriptions": self._csv("subscriptions.csv", contracts, _SUBSCRIPTION),
            "tickets": self._json_lines("tickets.jsonl", tickets),
            "nps": self._json_lines("nps.jsonl", answers),
            "usage": self.folder / "usage.parquet",
            "labels": self._csv("labels.csv", self.company.labels),
            "releases": self._json_lines("releases.jsonl", _releases()),
        }
        usage.write_parquet(files["usage"])
        return files

    def write_recipients(self) -> Path:
        """Write how mailboxes behave; return the file."""
        rows = [
            {"address": address, "behaviour": behaviour}
            for address, behaviour in self.life.recipients()
        ]
        return self._csv("recipients.csv", rows)

    def live_until(self, day: date, arrivals: Sequence[Arrival]) -> dict[str, Path]:
        """Let the day before `day` pass, with the mails that arrived on it.

        Returns:
            Files of what is new: subscriptions begun or ended, and use.
        """
        yesterday = date.fromordinal(day.toordinal() - 1)
        if yesterday < self.company.launch:
            return {}
        mails = [Mail(a.address, a.template.removesuffix(_FOLLOW_UP)) for a in arrivals]
        back = self.life.live(yesterday, mails)
        contracts = [
            *self.life.ending_on(yesterday),
            *self.life.new_contracts(back, yesterday),
        ]
        name = yesterday.isoformat()
        files = {}
        if contracts:
            path = f"{name}-subscriptions.csv"
            files["subscriptions"] = self._csv(path, contracts, _SUBSCRIPTION)
        usage = self.life.usage_on(yesterday)
        if not usage.is_empty():
            files["usage"] = self.folder / f"{name}-usage.jsonl"
            usage.with_columns(
                pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
            ).write_ndjson(files["usage"])
        return files

    def true_effect(
        self, enrolled: Mapping[str, datetime], *, window_days: int
    ) -> float:
        """Return what mails truly added to the chance of a return within the window."""
        return self.life.true_effect(enrolled, window_days=window_days)

    def _csv(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str] | None = None,
    ) -> Path:
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns or list(rows[0]), restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def _json_lines(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        return path


def make_world(
    folder: Path, *, seed: int, accounts: int, launch: date, days: int
) -> World:
    """Return a world whose life after `launch` lasts `days`."""
    company = make_company(seed=seed, accounts=accounts, launch=launch, days_after=days)
    return World(folder, company, Life(company, seed=seed, days=days))


def _with_blemishes(contacts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `contacts` with three bad rows among them, as every real export has."""
    first = contacts[0]
    bad = [
        first | {"id": "con-without-at", "email": "ada.adler"},
        first | {"id": "con-of-nobody", "account": "acc-unknown"},
        first | {"id": "con-without-mail", "email": ""},
    ]
    return [*contacts[:10], *bad, *contacts[10:]]


def _releases() -> list[dict[str, Any]]:
    return [
        {"id": f"rel-{day}", "date": day, "title": title, "text": text, "tags": [tag]}
        for day, title, tag, text in _RELEASES
    ]
