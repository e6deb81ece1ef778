"""A proof at full size: an import killed again and again ends as an unbroken one.

    python -m benchmarks.proof [--rows 20000000] [--kills 6] [--folder DIR]

Real processes, killed by SIGKILL at moments spread over the whole import; then every
file of the two lakes is compared byte by byte, and the counts with the rows.
"""

import argparse
import hashlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import data

ACCOUNTS = 20_000
STARTS_WITHIN = 2  # seconds, before the first row is read


def winback(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "campaigns", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def run(*arguments: object) -> str:
    process = winback(*arguments)
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"winback {arguments} ended with {process.returncode}")
    return said


def prepare(root: Path, accounts: Path) -> None:
    run("init", root)
    run("import", "accounts", accounts, "-w", root)


def hashes(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((root / "usage").rglob("*.parquet"))
    }


def kill_after(seconds: float, *arguments: object) -> str | None:
    """Start a command and kill it; return what it said if it ended before."""
    process = winback(*arguments)
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return None


def prove(folder: Path, *, rows: int, kills: int) -> None:
    file, accounts = folder / "usage.csv", folder / "accounts.csv"
    data.write_usage_csv(file, rows=rows, accounts=ACCOUNTS)
    ids = data.account_ids(ACCOUNTS)
    accounts.write_text("id,name\n" + "".join(f"{id_},{id_}\n" for id_ in ids))
    unbroken, broken = folder / "unbroken", folder / "broken"
    prepare(unbroken, accounts)
    prepare(broken, accounts)
    began = time.perf_counter()
    print(run("import", "usage", file, "-w", unbroken).strip(), flush=True)
    seconds = time.perf_counter() - began
    done, said = 0, None
    while said is None and done < kills:
        # Each try gets a part further: some are killed reading, some merging.
        said = kill_after(
            seconds / kills + STARTS_WITHIN, "import", "usage", file, "-w", broken
        )
        done += said is None
    said = (said or run("import", "usage", file, "-w", broken)).strip()
    print(said, flush=True)
    total, *parts = (
        int(n.replace(",", ""))
        for n in re.findall(r"([\d,]+) (?:rows|taken|unchanged|rejected)", said)
    )
    same = hashes(unbroken) == hashes(broken)
    print(f"{total:,} rows in {seconds:.0f} s; killed {done} times")
    print(f"taken + unchanged + rejected = rows: {total == sum(parts) == rows}")
    print(f"{len(hashes(broken))} day files, byte by byte the same: {same}")
    if not (same and total == sum(parts) == rows and done):
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        prove(Path(folder), rows=asked.rows, kills=asked.kills)


if __name__ == "__main__":
    main()
