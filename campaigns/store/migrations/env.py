"""What Alembic runs: the engine comes from `store.schema`, never from a file."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from campaigns.store.tables import Base


@contextmanager
def _tables_made_anew(connection: Connection) -> Iterator[None]:
    """Let SQLite's tables be dropped and made anew while others refer to them."""
    if connection.dialect.name != "sqlite":
        yield
        return
    # Inside a transaction it would be ignored, and SQLAlchemy begins one by itself.
    driver = connection.connection.cursor()
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
        torn = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if torn:
            message = f"rows refer to rows that are gone: {torn[:9]}"
            raise IntegrityError(message, None, ValueError(message))
        connection.commit()
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys = ON")


with (
    context.config.attributes["engine"].connect() as connection,
    _tables_made_anew(connection),
):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
