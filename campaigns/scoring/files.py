"""How models are kept and loaded: what is wrong with a file is told to people."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from campaigns.errors import ModelMismatchError
from models.definitions import DEFINITION, FEATURE_NAMES


class Kept(NamedTuple):
    """A model that was trained and kept: its folder, and what is known of it."""

    folder: Path
    metadata: dict[str, Any]


def keep(model: object, metadata: dict[str, Any], folder: Path) -> Kept:
    """Keep a model, and make sure that it can be loaded again.

    Raises:
        ModelMismatchError: It holds types that are not trusted, or does not fit.
    """
    from models.artifacts import save

    with _told():
        path = save(model, metadata, folder)
    try:
        # As it will be loaded: what cannot be is found now.
        _, stored = load(path, metadata["kind"])
    except ModelMismatchError:
        shutil.rmtree(path)
        raise
    # Files of the same model differ in bytes: their hash stays beside the file.
    return Kept(path, {name: each for name, each in stored.items() if name != "sha256"})


def load(folder: Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """Return the model of a kind in a folder, and what is known of it.

    Raises:
        ModelMismatchError: It does not fit this code, is another, or was changed.
    """
    from models import artifacts

    with _told():
        return artifacts.load(
            folder,
            kind=kind,
            feature_names=FEATURE_NAMES,
            feature_definition=DEFINITION,
        )


@contextmanager
def _told() -> Iterator[None]:
    """Turn what is wrong with a model's file into an error that people are told."""
    from models.artifacts import ModelMismatch

    try:
        yield
    except ModelMismatch as error:
        raise ModelMismatchError(str(error)) from error
