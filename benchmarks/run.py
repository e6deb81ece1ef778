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
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import data

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
    """A weekly report over a million enrolments."""
    enrolments = bench.sized(MILLION)
    folder = bench.make("report", accounts=enrolments)
    found = bench.time("report", folder)
    goal = "< 10 s, < 500 MB"
    bench.add(f"report over {enrolments:,} enrolments", found, goal=goal)
    shutil.rmtree(folder)


ALL = {"import": imports, "features": features, "enrol": enrolling, "report": reports}


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
