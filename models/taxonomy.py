"""The segments, as data: names a marketer understands, and starter rules.

A starter rule is a list of conditions on features that must all hold. Rules give weak
labels where people gave none: the first segment in the file's order whose rule holds,
and no label where none does.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.definitions import FEATURE_NAMES


@dataclass(frozen=True, slots=True)
class Condition:
    """A feature that lies within bounds; a missing number never does."""

    feature: str
    at_least: float = -np.inf
    at_most: float = np.inf

    def holds(self) -> pl.Expr:
        """Return the condition as an expression."""
        inside = pl.col(self.feature).is_between(self.at_least, self.at_most)
        return inside.fill_null(value=False)


@dataclass(frozen=True, slots=True)
class Segment:
    """A usage pattern with a name."""

    name: str
    title: str
    description: str
    rule: tuple[Condition, ...]

    def holds(self) -> pl.Expr:
        """Return the starter rule as an expression."""
        return pl.all_horizontal([condition.holds() for condition in self.rule])


def read_taxonomy(path: Path) -> tuple[Segment, ...]:
    """Return the segments in the TOML file at `path`, in its order.

    Raises:
        ValueError: The file is not as it should be; says where and what is allowed.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))["segments"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read as a list of segments: {error}"
        ) from error
    segments = tuple(_segment(table, path) for table in tables)
    names = [segment.name for segment in segments]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{path}: the segment {name!r} stands there twice")
    return segments


def _segment(table: dict[str, Any], path: Path) -> Segment:
    name = table.get("name", "a segment without a name")
    try:
        rule = _rule(table["rule"])
        return Segment(table["name"], table["title"], table["description"], rule)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {name}: {error}") from error


def _rule(tables: list[dict[str, Any]]) -> tuple[Condition, ...]:
    if not tables:
        raise ValueError("the rule is empty")
    return tuple(_condition(each) for each in tables)


def _condition(table: dict[str, Any]) -> Condition:
    if table["feature"] not in FEATURE_NAMES:
        allowed = ", ".join(FEATURE_NAMES)
        raise ValueError(
            f"there is no feature {table['feature']!r}; allowed: {allowed}"
        )
    return Condition(**table)


def weak_labels(
    features: pl.DataFrame, segments: tuple[Segment, ...]
) -> dict[str, str]:
    """Return the segment of each account that a starter rule speaks for."""
    label: Any = pl.lit(None, pl.String)
    for segment in reversed(segments):
        label = pl.when(segment.holds()).then(pl.lit(segment.name)).otherwise(label)
    labelled = features.select("account", label.alias("segment"))
    return dict(labelled.drop_nulls("segment").iter_rows())
