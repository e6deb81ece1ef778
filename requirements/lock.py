"""Write requirements/*.txt anew from pyproject.toml.

Names, versions and hashes only: no header, no address of any registry.
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GROUPS = {
    "core": ["build"],
    "dev": ["build", "dev"],
    "peers": ["build", "dev", "peers"],
}


def main() -> None:
    """Compile each file with uv, for every supported Python, on top of the last."""
    below: list[str] = []
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    for name, groups in GROUPS.items():
        chosen = [part for group in groups for part in ("--group", group)]
        subprocess.run(
            [uv, "pip", "compile", "-q", "pyproject.toml", *chosen, *below,
             "--universal", "--python-version", "3.11", "--generate-hashes",
             "--no-header", "--no-emit-index-url", "--no-emit-find-links",
             "--no-annotate", "-o", str(HERE / f"{name}.txt")],
            cwd=HERE.parent, check=True,
        )  # fmt: skip
        below = ["-c", str(HERE / f"{name}.txt")]


if __name__ == "__main__":
    main()
