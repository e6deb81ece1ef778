"""The files that come with Winback: e-mail, page, report and workspace templates.

In a wheel they lie inside the package, in a checkout beside it.
"""

from importlib.resources import files
from pathlib import Path


def templates_folder() -> Path:
    """Return the folder of the templates that Winback ships."""
    packaged = Path(str(files("campaigns"))) / "templates"
    beside = Path(__file__).resolve().parents[1] / "templates"
    return packaged if packaged.is_dir() else beside
