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


def kill_after(seconds: float, *arguments: object) -> bool:
    """Start a command and kill it; say whether it lived until then."""
    process = winback(*arguments)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


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
    done = 0
    for number in range(kills):
        # Long enough to get on, too short to end: each try gets a part further.
        share = 0.35 + 0.1 * (number % 3)
        if not kill_after(seconds * share, "import", "usage", file, "-w", broken):
            break
        done += 1
    said = run("import", "usage", file, "-w", broken).strip()
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
