"""Statements for many rows at once, written as each database is quickest at them.

A list of placeholders gives PostgreSQL another statement to plan for each number of
values; with one array for all of them its text never changes. SQLite reads placeholders
faster than any list.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    String,
    any_,
    bindparam,
    cast,
    func,
    literal,
)
from sqlalchemy.orm import InstrumentedAttribute


class Words(NamedTuple):
    """What databases say differently."""

    is_listed: Callable[[InstrumentedAttribute[Any], str], ColumnElement[bool]]
    """That a column's value is in the list bound to a parameter, given by its name."""
    looked_up: Callable[[str, InstrumentedAttribute[int]], ColumnElement[str]]
    """The text that a JSON object, bound to a parameter, has for a column's value."""


Statement = TypeVar("Statement")


class ByDatabase(Generic[Statement]):
    """A statement in the words of each database.

    Args:
        write: Writes it in the words that it is given.
    """

    def __init__(self, write: Callable[[Words], Statement]) -> None:
        self._written = {name: write(words) for name, words in _WORDS.items()}

    def on(self, connection: Connection) -> Statement:
        """Return the statement in the words of the database of `connection`."""
        return self._written[connection.dialect.name]


def _in_placeholders(
    column: InstrumentedAttribute[Any], parameter: str
) -> ColumnElement[bool]:
    return column.in_(bindparam(parameter, expanding=True))


def _in_array(
    column: InstrumentedAttribute[Any], parameter: str
) -> ColumnElement[bool]:
    one = String() if isinstance(column.type, String) else BigInteger()
    return column == any_(bindparam(parameter, type_=ARRAY(one)))


def _by_path(parameter: str, key: InstrumentedAttribute[int]) -> ColumnElement[str]:
    path = literal('$."').concat(cast(key, String)).concat('"')
    return func.json_extract(bindparam(parameter, type_=String), path)


def _by_key(parameter: str, key: InstrumentedAttribute[int]) -> ColumnElement[str]:
    document = cast(bindparam(parameter, type_=String), JSON)
    return func.json_extract_path_text(document, cast(key, String))


_WORDS: Final = {
    "sqlite": Words(_in_placeholders, _by_path),
    "postgresql": Words(_in_array, _by_key),
}
