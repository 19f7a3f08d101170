"""Brings the tables to the present version; safe when several gateways start at once."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from gateway.domain.errors import StoreUnavailable
from gateway.store.database import Database

logger = logging.getLogger(__name__)

_LOCK = 7_486_331_905
"""PostgreSQL's advisory locks are numbers; nobody else's is this one."""


async def migrate(database: Database) -> None:
    """In one transaction, which others wait for. Raises StoreUnavailable."""
    try:
        async with database.transaction() as connection:
            await connection.run_sync(_upgrade)
    except CommandError as error:
        raise StoreUnavailable(
            f"the database {database.name} was made by a later version of this program: {error}"
        ) from error
    except StoreUnavailable as error:
        raise StoreUnavailable(f"the database {database.name} cannot be used: {error.__cause__}") from error
    logger.info("records in %s", database.name)


def head() -> str | None:
    """The newest version."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # SQLite's transactions exclude each other as it is.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    # Its options are read with % as a mark of their own.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
