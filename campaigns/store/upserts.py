"""Insert or update many rows at once, on either database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from campaigns.store.tables.base import Base


def table_of(row: type[Base]) -> Table:
    """Return the table behind a row class."""
    table = inspect(row).local_table
    if not isinstance(table, Table):
        raise TypeError(f"{row.__name__} has no table of its own")
    return table


def upsert(
    session: Session,
    row: type[Base],
    values: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str],
) -> None:
    """Insert `values`, and where `key` exists already, update the other columns."""
    if not values:
        return
    statement = _insert(session, row)
    changed = {
        name: statement.excluded[name] for name in values[0] if name not in set(key)
    }
    session.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=changed),
        list(values),
    )


def insert_new(session: Session, row: type[Base], values: Mapping[str, Any]) -> bool:
    """Insert one row unless a unique key of it exists; say whether it was inserted."""
    table = table_of(row)
    first = next(iter(table.primary_key.columns))
    statement = _insert(session, row).values(dict(values))
    result = session.execute(statement.on_conflict_do_nothing().returning(first))
    return result.first() is not None


def insert_all(
    session: Session, row: type[Base], values: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows; one whose unique key exists already is left out."""
    if not values:
        return
    statement = _insert(session, row).on_conflict_do_nothing()
    session.connection().execute(statement, list(values))


def _insert(session: Session, row: type[Base]) -> Any:  # noqa: ANN401
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table_of(row))
