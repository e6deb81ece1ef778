"""Set up the environment that the Makefile's targets run in.

    python3 requirements/install.py .venv core|dev|peers

Needs only Python 3.11+ and pip. Uses uv where there is one, else puts uv into the
environment, else falls back to pip; every package is checked against its hash.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path) -> bool:
    """Run `command` from the project's root; say whether it succeeded."""
    return subprocess.run([str(part) for part in command], cwd=ROOT).returncode == 0


def find_uv(environment: Path) -> str | None:
    """Return a uv to install with, installing one into `environment` if need be."""
    own = environment / "bin" / "uv"
    if found := shutil.which("uv"):
        return found
    if not own.exists():
        # --python: the environment has no pip of its own, and needs none.
        python = environment / "bin" / "python"
        run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "uv")
    return str(own) if own.exists() else None


def main() -> int:
    """Create the environment and install one set of requirements into it."""
    environment, wanted = Path(sys.argv[1]).absolute(), sys.argv[2]
    python = environment / "bin" / "python"
    # Some Debians lack ensurepip, so the environment is made without pip.
    if not python.exists() and not run(
        sys.executable, "-m", "venv", "--without-pip", environment
    ):
        return 1
    uv = find_uv(environment)
    install: list[str | Path] = (
        [uv, "pip", "install", "-q", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    )
    locked = run(*install, "--require-hashes", "-r", f"requirements/{wanted}.txt")
    itself = locked and run(
        *install, "--no-deps", "--no-build-isolation", "--editable", "."
    )
    return 0 if itself else 1


if __name__ == "__main__":
    sys.exit(main())
