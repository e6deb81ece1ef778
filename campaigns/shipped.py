"""The files that come with Winback: templates of all kinds, and notebooks.

In a wheel they lie inside the package, in a checkout beside it.
"""

from importlib.resources import files
from pathlib import Path


def templates_folder() -> Path:
    """Return the folder of the templates that Winback ships."""
    return _folder("templates")


def notebooks_folder() -> Path:
    """Return the folder of the notebooks that Winback ships."""
    return _folder("notebooks")


def _folder(name: str) -> Path:
    packaged = Path(str(files("campaigns"))) / name
    beside = Path(__file__).resolve().parents[1] / name
    return packaged if packaged.is_dir() else beside
