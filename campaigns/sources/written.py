"""TOML files that people write, with the line that a mistake stands on.

The standard library reads TOML without places, so the line is found again by walking
the text: good enough to point at, and never wrong about what is wrong.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from campaigns.errors import WinbackError

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, model: type[Model], *, error: type[WinbackError]) -> Model:
    """Return what the file at `path` holds, validated as `model`.

    Raises:
        WinbackError: Of the class `error`; names the file, the line and the remedy.
    """
    try:
        text = path.read_text("utf-8")
        return model.model_validate(tomllib.loads(text))
    except OSError as cause:
        raise error(f"{path}: cannot be read: {cause.strerror}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise error(f"{path}: is not valid TOML: {cause}") from cause
    except ValidationError as cause:
        first = cause.errors()[0]
        where = [part for part in first["loc"] if part != "function-after"]
        reason = first["msg"].removeprefix("Value error, ")
        line = line_of(text, where)
        key = ".".join(str(part) for part in where)
        raise error(f"{path}, line {line}: {key}: {reason}") from cause


def line_of(text: str, where: Sequence[str | int]) -> int:
    """Return the line (from 1) of the key that `where` leads to, or of its table."""
    lines = text.splitlines()
    start, line = 0, 1
    for place, part in enumerate(where):
        if isinstance(part, int):
            continue
        following = where[place + 1] if place + 1 < len(where) else None
        nth = following if isinstance(following, int) else 0
        pattern = re.compile(
            rf"\s*(\[\[?\s*([\w.-]+\.)?{re.escape(part)}\s*\]\]?|{re.escape(part)}\s*=)"
        )
        hits = [n for n in range(start, len(lines)) if pattern.match(lines[n])]
        if not hits:
            break
        start = hits[min(nth, len(hits) - 1)]
        line = start + 1
    return line
