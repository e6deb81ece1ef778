"""What a trained model is: itself, and what is known of where it comes from."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from models.definitions import DEFINITION, FEATURE_NAMES

_VERSION_LENGTH: Final = 16


class Trained(NamedTuple):
    """A fitted model, and what is stored beside it, as plain values."""

    model: Any
    metadata: dict[str, Any]


def described(
    kind: str,
    model: Any,  # noqa: ANN401 — any estimator
    *,
    data_hash: str,
    as_of: datetime,
    terms: Mapping[str, Any] = MappingProxyType({}),
    **known: Any,  # noqa: ANN401 — plain values
) -> dict[str, Any]:
    """Return what is stored of a model; its version is all that made it so.

    Args:
        kind: segments, propensity or uplift.
        model: Fitted.
        data_hash: Of the rows it learnt from.
        as_of: Nothing later was known to it.
        terms: What else it was made and judged by, such as costs.
        known: What else is to be stored.
    """
    parameters = repr(sorted(model.get_params().items()))
    code = code_hash()
    version = hash_of(
        kind, data_hash, DEFINITION, type(model).__name__, parameters, code, dict(terms)
    )
    return {
        "kind": kind,
        "version": version[:_VERSION_LENGTH],
        "estimator": type(model).__name__,
        "parameters": parameters,
        "feature_names": list(FEATURE_NAMES),
        "feature_definition": DEFINITION,
        "as_of": as_of.isoformat(),
        "data_hash": data_hash,
        "code_hash": code,
        **terms,
        **known,
    }


def hash_of(*parts: object) -> str:
    """Return a hash of bytes and of the text of anything else."""
    digest = sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\x1f")
    return digest.hexdigest()


@cache
def code_hash() -> str:
    """Return a hash of the code that learns: the modules of this package."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return hash_of(*(path.read_bytes() for path in modules))
