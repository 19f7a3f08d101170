"""Both databases, with their tables made."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.store.database import Database, database_url
from gateway.store.migrate import migrate
from gateway.store.schema import jobs


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('records') / 'triptych.db'}"
    else:
        yield request.getfixturevalue("postgresql")


@pytest.fixture()
async def database(url: str) -> AsyncIterator[Database]:
    """Empty."""
    database = Database(database_url(url, Path("unused")))
    await migrate(database)
    async with database.transaction() as connection:
        await connection.execute(jobs.delete())
    yield database
    await database.close()
