"""`winback init`: a workspace from the shipped starter files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from campaigns.config import SECRETS_FILE, SETTINGS_FILE, fresh_key, new_secrets
from campaigns.errors import ActionRefusedError
from campaigns.shipped import templates_folder

_FOLDERS: Final = ("imports", "mails", "models", "rejects", "reports", "usage")


def make_workspace(root: Path, make_key: Callable[[], str] = fresh_key) -> None:
    """Lay out a workspace at `root`, with keys that `make_key` gives.

    Raises:
        ActionRefusedError: There is one already: its secrets must not be replaced.
    """
    if (root / SETTINGS_FILE).exists() or (root / SECRETS_FILE).exists():
        raise ActionRefusedError(f"{root} is a workspace already; nothing was changed")
    root.mkdir(parents=True, exist_ok=True)
    shipped = templates_folder()
    shutil.copytree(shipped / "workspace", root, dirs_exist_ok=True)
    shutil.copytree(shipped / "email", root / "templates" / "email", dirs_exist_ok=True)
    for name in _FOLDERS:
        (root / name).mkdir(exist_ok=True)
    descriptor = os.open(
        root / SECRETS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
    )
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(new_secrets(make_key))
