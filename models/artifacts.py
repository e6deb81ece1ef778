"""How a model is kept: a skops file, and beside it what it is and where it came from.

Never pickle: a model file is data, and loading it must not run anything. Which types
may stand in it is a fixed list here, not what the file itself asks for.
"""

import json
import re
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

from models.propensity import ExpectedUse, ReturnModel
from models.segments import SegmentClassifier
from models.uplift import UpliftModel

_MODEL: Final = "model.skops"
_METADATA: Final = "metadata.json"
_VERSION: Final = re.compile("[A-Za-z0-9]+")
_TRUSTED: Final = (
    "models.propensity.ExpectedUse",
    "models.propensity.ReturnModel",
    "models.propensity.signed_logarithm",
    "models.segments.SegmentClassifier",
    "models.uplift.ClassTransformation",
    "models.uplift.Combined",
    "models.uplift.DRLearner",
    "models.uplift.OneFlag",
    "models.uplift.Selected",
    "models.uplift.TwoModel",
    "models.uplift.XLearner",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
)

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "segments": (SegmentClassifier,),
    "propensity": (ReturnModel, ExpectedUse),
    "uplift": (UpliftModel,),
}
"""What a model of each kind is: nothing else is asked for its opinion."""


class ModelMismatch(ValueError):  # noqa: N818 — says what is wrong, not that it is
    """A stored model does not fit: changed file, other features, other versions."""


def save(model: object, metadata: dict[str, Any], folder: Path) -> Path:
    """Keep a model under its version in `folder`, and return its own folder.

    The folder appears as a whole or not at all. Where it is there and undamaged it
    stays: the same version is the same model, and somebody may be reading it.

    Raises:
        ModelMismatch: The version is no name that a folder could have.
    """
    if not _VERSION.fullmatch(metadata["version"]):
        raise ModelMismatch(f"version {metadata['version']!r}: use letters and digits")
    final = folder / _folder_name(metadata["version"])
    if _is_whole(final):
        return final
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
    # A damaged folder: the fresh one takes its place.
    shutil.rmtree(final, ignore_errors=True)
    return beside.replace(final)


def _is_whole(folder: Path) -> bool:
    """Say whether a model lies in a folder as it was stored."""
    try:
        metadata = json.loads((folder / _METADATA).read_text("utf-8"))
        found = sha256((folder / _MODEL).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False
    return isinstance(metadata, dict) and metadata.get("sha256") == found


def load(
    folder: Path,
    *,
    kind: str | None = None,
    feature_names: Sequence[str],
    feature_definition: str,
) -> tuple[Any, dict[str, Any]]:
    """Return the model kept in `folder`, and its metadata.

    Args:
        folder: What `save` returned.
        kind: segments, propensity or uplift: what it must be; None for any of these.
        feature_names: What the caller will ask it with, in order.
        feature_definition: The version of their meaning.

    Raises:
        ModelMismatch: It was made for something else, changed, or holds types that are
            not trusted; says which and what to do.
    """
    try:
        metadata = json.loads((folder / _METADATA).read_text("utf-8"))
        content = (folder / _MODEL).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelMismatch(
            f"{folder}: cannot be read ({error}); train anew"
        ) from error
    if not isinstance(metadata, dict):
        raise ModelMismatch(f"{folder}: its metadata is none; train anew")
    _check(metadata, content, list(feature_names), feature_definition, folder)
    model = _opened(content, folder)
    wanted = _KINDS.get(metadata.get("kind", ""), ())
    if kind not in {None, metadata.get("kind")} or not isinstance(model, wanted):
        raise ModelMismatch(
            f"{folder}: is no model of {kind or 'a known kind'} but {type(model)} as "
            f"{metadata.get('kind')}; do not use it"
        )
    fitted_on = getattr(model, "n_features_in_", None)
    if fitted_on != len(feature_names):
        was = "is not fitted" if fitted_on is None else f"was fitted on {fitted_on}"
        raise ModelMismatch(
            f"{folder}: {was}, and there are {len(feature_names)} features; train anew"
        )
    return model, metadata


def _opened(content: bytes, folder: Path) -> object:
    try:
        return skops.io.loads(content, trusted=list(_TRUSTED))
    except UntrustedTypesFoundException as error:
        raise ModelMismatch(
            f"{folder}: holds types that are not trusted ({error}); do not use it"
        ) from error
    except Exception as error:  # whatever was made to look like one
        raise ModelMismatch(
            f"{folder}: cannot be opened ({type(error).__name__}: {error}); train anew"
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
    versions = metadata.get("versions")
    made_with = versions.get("scikit-learn") if isinstance(versions, dict) else None
    expected = {
        "features": (metadata.get("feature_names"), feature_names),
        "feature definition": (metadata.get("feature_definition"), feature_definition),
        "scikit-learn": (
            _minor(str(made_with)),
            _minor(sklearn.__version__),
        ),
        "places": (folder.name, _folder_name(str(metadata.get("version")))),
    }
    for what, (stored, wanted) in expected.items():
        if stored != wanted:
            raise ModelMismatch(
                f"{folder}: was made for other {what} ({stored}, now {wanted}); "
                "train anew"
            )


def _folder_name(version: str) -> str:
    return f"{version}-{_minor(sklearn.__version__)}"


def _versions() -> dict[str, str]:
    return {
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "skops": skops.__version__,
    }


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
