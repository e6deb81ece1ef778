"""Write requirements/core.txt and dev.txt anew from pyproject.toml.

Names, versions and hashes only: no header, no address of any registry.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GROUPS = {"core": ["build"], "dev": ["build", "dev"]}


def main() -> None:
    """Compile both files with uv, for every supported Python."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    for name, groups in GROUPS.items():
        chosen = [part for group in groups for part in ("--group", group)]
        constraint = [] if name == "core" else ["-c", str(HERE / "core.txt")]
        subprocess.run(
            [uv, "pip", "compile", "-q", "pyproject.toml", *chosen, *constraint,
             "--universal", "--python-version", "3.11", "--generate-hashes",
             "--no-header", "--no-emit-index-url", "--no-emit-find-links",
             "--no-annotate", "-o", str(HERE / f"{name}.txt")],
            cwd=HERE.parent, check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
