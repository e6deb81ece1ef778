"""Bringing a database to the tables this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import OperationalError

from campaigns.errors import ConfigError

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> None:
    """Create the tables, or migrate them to the newest revision."""
    command.upgrade(_config(engine), "head")


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to an older revision; what only newer ones know is lost."""
    command.downgrade(_config(engine), revision)


def is_empty(engine: Engine) -> bool:
    """Say whether the database holds no table at all.

    Raises:
        ConfigError: It does not answer.
    """
    try:
        return not inspect(engine).get_table_names()
    except OperationalError as error:
        raise ConfigError(
            f"the database does not answer: {type(error.orig).__name__}; is its "
            "address right, and is it running?"
        ) from error


def is_current(engine: Engine) -> bool:
    """Say whether the database is at the newest revision."""
    newest = ScriptDirectory.from_config(_config(engine)).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest


def differences(engine: Engine) -> list[object]:
    """Return how the migrated database differs from the tables in code: nothing."""
    from alembic.autogenerate import compare_metadata

    from campaigns.store.tables import Base

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, Base.metadata))
