"""`winback notebook`: the shipped notebooks, on a workspace's data."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import track

from campaigns.errors import ConfigError
from campaigns.shipped import notebooks_folder
from campaigns.wiring.workspace import Workspace

_LONGEST_SECONDS = 600


def open_notebooks(workspace: Workspace, *, runs: bool) -> None:
    """Write the notebooks into the workspace, and open or run them.

    Those that are there already are somebody's work: they stay as they are.

    Args:
        workspace: Whose data they show.
        runs: Whether they are run one after the other, and none is opened.

    Raises:
        ConfigError: What notebooks need is not installed, or some could not be run to
            their end, as where there are no data yet: says which, and why.
    """
    need("jupytext", "nbclient" if runs else "jupyterlab")
    written = lay_out(workspace)
    folder = workspace.root / "notebooks"
    # Its kernel is a process of its own, and is told by this which data to show.
    environment = os.environ | {"WINBACK_WORKSPACE": str(workspace.root.resolve())}  # noqa: TID251
    if not runs:
        command = ["jupyter", "lab", str(folder)]
        subprocess.run(command, env=environment, check=False)  # noqa: S603
        return
    stopped = {}
    for path in track(written, "notebooks", console=Console(stderr=True)):
        if why := _run(path, environment):
            stopped[path.name] = why
    print(f"{len(written) - len(stopped)} notebooks were run; they are in {folder}")
    if stopped:
        raise ConfigError(
            f"{len(stopped)} could not be run to their end:\n"
            + "\n".join(f"  {name}: {why}" for name, why in stopped.items())
        )


def need(*modules: str) -> None:
    """Make sure that modules can be imported.

    Raises:
        ConfigError: One cannot; says what to install.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"notebooks need {' and '.join(missing)}; run: "
            'pip install "winback[notebook]"'
        )


def lay_out(workspace: Workspace) -> list[Path]:
    """Write the notebooks that are not there yet; return the paths of all."""
    import jupytext

    folder = workspace.root / "notebooks"
    folder.mkdir(exist_ok=True)
    paths = []
    for source in sorted(notebooks_folder().glob("*.py")):
        path = folder / f"{source.stem}.ipynb"
        if not path.exists():
            jupytext.write(jupytext.read(source), path)
        paths.append(path)
    return paths


def _run(path: Path, environment: dict[str, str]) -> str | None:
    """Run a notebook in its place, and return why it stopped; None at its end.

    What it shows is kept in it, and where it stopped.
    """
    import nbclient
    import nbformat

    beside = path.with_suffix(".new")
    document = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        document, timeout=_LONGEST_SECONDS, kernel_name="python3"
    )
    manager = client.create_kernel_manager()
    manager.transport = "ipc"  # a socket of this user's, not a port that others reach
    why = None
    try:
        client.execute(env=environment)
    except nbclient.exceptions.CellExecutionError as error:
        why = error.evalue
    nbformat.write(document, beside)
    shutil.move(beside, path)
    return why
