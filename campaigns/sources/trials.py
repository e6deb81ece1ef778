"""Files of randomised trials: a row for each account, its arm, and what it did."""

import operator
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from campaigns.errors import InputError
from campaigns.sources.blocks import START, Row, RowError
from campaigns.sources.files import open_data_file


class RefusedRow(NamedTuple):
    """A row that could not be taken.

    Attributes:
        row: Its number in the file, from 1, without the header.
        column: Where it is wrong.
        reason: What is wrong, without the value: it may be personal.
        arm: Whose account it is; None if that is not to be told.
    """

    row: int
    column: str
    reason: str
    arm: str | None = None


class TrialFile(NamedTuple):
    """What a file says of a trial.

    Attributes:
        outcomes: Of each arm's accounts, by the arm's name.
        before: What was known of them before, in the same order; empty if not asked.
        mailed: How often each of them was written to, in the same order; likewise.
        refused: The rows that are not among them.
    """

    outcomes: dict[str, NDArray[np.float64]]
    before: dict[str, NDArray[np.float64]]
    mailed: dict[str, NDArray[np.float64]]
    refused: list[RefusedRow]

    @property
    def lost(self) -> Counter[str]:
        """How many accounts each arm lacks because their rows were refused."""
        return Counter(each.arm for each in self.refused if each.arm is not None)


def read_trial(
    path: Path,
    *,
    treatment: str,
    outcome: str,
    before: str | None = None,
    mailed: str | None = None,
    where: str | None = None,
) -> TrialFile:
    """Return the outcomes of each arm of a trial.

    Args:
        path: A .csv, .tsv, .jsonl, .ndjson (also .gz) or .parquet file.
        treatment: The column that names the arm; each of its values is one.
        outcome: The column of what came of it: 0 or 1, or an amount.
        before: A column of what was known before the trial, an amount.
        mailed: A column of how often an account was written to, by anyone.
        where: Which rows are meant, such as `recency >= 7`; None for all.

    Raises:
        InputError: The file cannot be read, lacks a column, or has rows of which none
            can be taken; or `where` is not a column, one of == != >= <= > <, and a
            value.
    """
    also = [column for column in (before, mailed) if column]
    wanted = [treatment, outcome, *also]
    condition = _condition(where) if where else None
    columns = [*wanted, *([condition.column] if condition else [])]
    outcomes = _Arms(_numbers)
    known = {column: _Arms(_numbers) for column in also}
    refused = []
    for number, row in _rows(path, columns):
        if condition and isinstance(row, dict) and not condition.is_met(row):
            continue
        arm = _arm(row, treatment)
        amounts = row if isinstance(row, RowError) else _amounts(row, wanted[1:])
        if isinstance(arm, RowError):
            refused.append(RefusedRow(number, arm.column, str(arm)))
            continue
        if isinstance(amounts, RowError):
            refused.append(RefusedRow(number, amounts.column, str(amounts), arm))
            continue
        outcomes[arm].append(amounts[0])
        for column, amount in zip(also, amounts[1:], strict=True):
            known[column][arm].append(amount)
    if refused and not outcomes:
        first = refused[0]
        raise InputError(
            f"{path}: none of its {len(refused):,} rows can be taken; row {first.row}, "
            f"{first.column}: {first.reason}"
        )
    return TrialFile(
        _arrays(outcomes),
        _arrays(known[before]) if before else {},
        _arrays(known[mailed]) if mailed else {},
        refused,
    )


_Arms: TypeAlias = defaultdict[str, "array[float]"]


def _numbers() -> "array[float]":
    return array("d")


def _arrays(of: _Arms) -> dict[str, NDArray[np.float64]]:
    return {arm: np.frombuffer(of[arm]) for arm in sorted(of)}


class _Condition(NamedTuple):
    column: str
    compare: Callable[[Any, Any], bool]
    value: str

    def is_met(self, row: Row) -> bool:
        """Compare as numbers if both are, else as text; an empty value meets none."""
        cell = row.get(self.column)
        if cell is None or cell == "":
            return False
        try:
            return self.compare(float(str(cell)), float(self.value))
        except ValueError:
            return self.compare(str(cell), self.value)


_COMPARISONS: Final = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def _condition(text: str) -> _Condition:
    parts = re.fullmatch(r"\s*([^=!<>]+?)\s*(==|!=|>=|<=|>|<)\s*(\S.*?)\s*", text)
    if parts is None:
        raise InputError(
            f"where: {text!r} is not a column, one of {' '.join(_COMPARISONS)}, and a "
            "value, such as 'recency >= 7'"
        )
    column, sign, value = parts.groups()
    return _Condition(column, _COMPARISONS[sign], value)


def _rows(path: Path, wanted: list[str]) -> Iterator[tuple[int, Row | RowError]]:
    with open_data_file(path) as file:
        missing = [column for column in wanted if column not in file.columns]
        if missing and not file.is_ragged:
            raise InputError(
                f"{path}: has no column {missing[0]!r}; it has: "
                f"{', '.join(file.columns)}"
            )
        for block in file.blocks(START):
            yield from block.rows()


def _arm(row: Row | RowError, column: str) -> str | RowError:
    """Return a row's arm, or why it has none."""
    if isinstance(row, RowError):
        return row
    cell = row.get(column)
    arm = "" if cell is None else str(cell).strip()
    return arm or RowError(column, "", "is empty: it should name the arm")


_TRUTHS: Final = {"true": 1.0, "false": 0.0}


def _amounts(row: Row, columns: list[str]) -> list[float] | RowError:
    """Return what stands in columns as numbers, or why it is none."""
    amounts = []
    for column in columns:
        cell = str(row.get(column)).strip()
        try:
            amount = _TRUTHS.get(cell.lower())
            amounts.append(float(cell) if amount is None else amount)
        except ValueError:
            return RowError(column, "", "is not a number")
        if not isfinite(amounts[-1]):
            return RowError(column, "", "is not a finite number")
    return amounts
