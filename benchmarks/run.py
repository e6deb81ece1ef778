"""Each headline number, with its peer in the same run: `make bench`.

Prints a table and writes it to benchmarks/results/latest.json. Ratios are what counts:
a machine's speed drifts, both sides of a ratio drift with it.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from campaigns.clock import system_clock
from campaigns.domain.records import Account
from campaigns.steps.import_file import Workplace
from campaigns.steps.ingest import ingest
from campaigns.store import records, schema
from campaigns.store.session import make_sessions, open_engine
from campaigns.store.usage import UsageLake

ROWS = 200_000
ACCOUNTS = 500
RUNS = 3
RESULTS = Path(__file__).parent / "results" / "latest.json"


def best(work: Callable[[], object]) -> float:
    """Return the shortest of some runs, in seconds."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def write_usage(path: Path) -> None:
    rows = [
        f"a{n % ACCOUNTS},2025-{1 + n % 3:02}-{1 + n % 28:02}T10:00:{n % 60:02}Z,"
        f"f{n % 9},{1 + n % 4}\n"
        for n in range(ROWS)
    ]
    path.write_text("account,at,feature,count\n" + "".join(rows))


def workplace(folder: Path) -> Workplace:
    engine = open_engine(f"sqlite:///{folder / 'bench.db'}")
    schema.upgrade(engine)
    sessions = make_sessions(engine)
    people = [Account(id=f"a{n}", name=f"A{n}") for n in range(ACCOUNTS)]
    with sessions.begin() as session:
        records.put(session, "accounts", people, address_hash=str)
    lake = UsageLake(folder / "usage")
    return Workplace(sessions, lake, folder / "rejects", str, system_clock)


def import_usage(folder: Path) -> dict[str, float]:
    """Import usage into the lake, against the bare scan and sink of the same file."""
    file = folder / "usage.csv"
    write_usage(file)
    numbers = iter(range(RUNS))

    def ours() -> None:
        fresh = folder / f"run-{next(numbers)}"
        fresh.mkdir()
        ingest("usage", file, place=workplace(fresh))

    seconds = best(ours)
    peer = best(
        lambda: pl.scan_csv(file, try_parse_dates=True).sink_parquet(
            folder / "peer.parquet"
        )
    )
    return {
        "rows": ROWS,
        "seconds": seconds,
        "peer_seconds": peer,
        "ratio": seconds / peer,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = {"import usage / bare Polars scan→sink": import_usage(Path(folder))}
    for name, figures in results.items():
        shown = ", ".join(f"{key} {value:,.3g}" for key, value in figures.items())
        print(f"{name}: {shown}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
