"""How a model is kept: a skops file, and beside it what it is and where it came from.

Never pickle: a model file is data, and loading it must not run anything. Which types
may stand in it is a fixed list here, not what the file itself asks for.
"""

import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import sklearn
import skops
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

_MODEL: Final = "model.skops"
_METADATA: Final = "metadata.json"
_TRUSTED: Final = (
    "models.propensity.ExpectedUse",
    "models.propensity.ReturnModel",
    "models.propensity.signed_logarithm",
    "models.segments.SegmentClassifier",
    "models.uplift.ClassTransformation",
    "models.uplift.Combined",
    "models.uplift.TwoModel",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
)


class ModelMismatch(ValueError):  # noqa: N818 — says what is wrong, not that it is
    """A stored model does not fit: changed file, other features, other versions."""


def save(model: object, metadata: dict[str, Any], folder: Path) -> Path:
    """Keep a model under its version in `folder`, and return its own folder.

    The folder appears as a whole or not at all.
    """
    final = folder / f"{metadata['version']}-{_minor(sklearn.__version__)}"
    beside = folder / f".{final.name}.new"
    beside.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, beside / _MODEL)
    full = {
        **metadata,
        "versions": _versions(),
        "sha256": sha256((beside / _MODEL).read_bytes()).hexdigest(),
    }
    text = json.dumps(full, indent=2, sort_keys=True)
    (beside / _METADATA).write_text(text + "\n", "utf-8")
    # The same data again, or a damaged folder: the fresh one takes its place.
    shutil.rmtree(final, ignore_errors=True)
    return beside.replace(final)


def load(
    folder: Path, *, feature_names: Sequence[str], feature_definition: str
) -> tuple[Any, dict[str, Any]]:
    """Return the model kept in `folder`, and its metadata.

    Args:
        folder: What `save` returned.
        feature_names: What the caller will ask it with, in order.
        feature_definition: The version of their meaning.

    Raises:
        ModelMismatch: It was made for something else, changed, or holds types that are
            not trusted; says which and what to do.
    """
    try:
        metadata: dict[str, Any] = json.loads((folder / _METADATA).read_text("utf-8"))
        content = (folder / _MODEL).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelMismatch(
            f"{folder}: cannot be read ({error}); train anew"
        ) from error
    _check(metadata, content, list(feature_names), feature_definition, folder)
    try:
        return skops.io.loads(content, trusted=list(_TRUSTED)), metadata
    except UntrustedTypesFoundException as error:
        raise ModelMismatch(
            f"{folder}: holds types that are not trusted ({error}); do not use it"
        ) from error


def _check(
    metadata: dict[str, Any],
    content: bytes,
    feature_names: list[str],
    feature_definition: str,
    folder: Path,
) -> None:
    if sha256(content).hexdigest() != metadata.get("sha256"):
        raise ModelMismatch(f"{folder}: the model file was changed after it was stored")
    expected = {
        "features": (metadata.get("feature_names"), feature_names),
        "feature definition": (metadata.get("feature_definition"), feature_definition),
        "scikit-learn": (
            _minor(metadata.get("versions", {}).get("scikit-learn", "")),
            _minor(sklearn.__version__),
        ),
    }
    for what, (stored, wanted) in expected.items():
        if stored != wanted:
            raise ModelMismatch(
                f"{folder}: was made for other {what} ({stored}, now {wanted}); "
                "train anew"
            )


def _versions() -> dict[str, str]:
    return {
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "skops": skops.__version__,
    }


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
