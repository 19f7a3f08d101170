"""The database: SQLite in the runtime directory, or PostgreSQL. The same statements run on both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.domain.errors import StoreUnavailable

_SQLITE = "sqlite+aiosqlite"
_POSTGRESQL = "postgresql+asyncpg"
_DRIVERS = {"sqlite": _SQLITE, _SQLITE: _SQLITE, "postgresql": _POSTGRESQL, "postgres": _POSTGRESQL}
_DRIVERS[_POSTGRESQL] = _POSTGRESQL
_BUSY_SECONDS = 10
_RETRY_SECONDS = 5


class DatabaseUrlError(ValueError):
    """The URL cannot be used; the message holds no password."""


def database_url(configured: str | None, file: Path) -> URL:
    """With the driver that we use. None: SQLite in `file`. Raises DatabaseUrlError."""
    if configured is None:
        return URL.create(_SQLITE, database=str(file))
    try:
        url = make_url(configured)
    # The library names the port alone of what it cannot read; the whole text may hold a password.
    except (ArgumentError, ValueError) as error:
        raise DatabaseUrlError("cannot be read; e.g. postgresql://user:password@host:5432/triptych") from error
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise DatabaseUrlError(f"is of the kind {url.drivername!r}; allowed: postgresql, sqlite")
    if driver == _SQLITE and url.database in (None, "", ":memory:"):
        raise DatabaseUrlError("names no file: jobs must survive a restart")
    return url.set(drivername=driver)


class Database:
    """Connections to one database; errors of any of its drivers become StoreUnavailable."""

    def __init__(self, url: URL) -> None:
        """Connects to nothing yet. Raises DatabaseUrlError for a driver that is not installed."""
        self._url = url
        try:
            self._engine = _open(url)
        except ModuleNotFoundError as error:
            raise DatabaseUrlError(f"needs the package {error.name}: pip install 'triptych[postgresql]'") from error

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def engine(self) -> AsyncEngine:
        """For migrations."""
        return self._engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """All of its statements, or none. Raises StoreUnavailable."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable("records cannot be read or written now", retry_after=_RETRY_SECONDS) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """For single SELECTs, which need no transaction and wait for nobody's. Raises StoreUnavailable."""
        try:
            async with self._engine.connect() as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable("records cannot be read or written now", retry_after=_RETRY_SECONDS) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _open(url: URL) -> AsyncEngine:
    # Parameters of statements are prompts and ids: errors and logs must not show them.
    if url.drivername == _POSTGRESQL:
        return create_async_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=10, hide_parameters=True)
    file = Path(url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    # Readable by its owner alone, before SQLite makes it: its journals take the file's own mode.
    file.touch(mode=0o600)
    engine = create_async_engine(url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own transactions begin as readers, and two that turn writers refuse each other at once.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
