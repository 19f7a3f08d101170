"""The tables' history leads to the tables, on both databases, whoever starts first."""

import asyncio
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from gateway.domain.errors import StoreUnavailable
from gateway.store.database import Database, DatabaseUrlError, database_url
from gateway.store.migrate import head, migrate
from gateway.store.schema import metadata


async def test_the_history_ends_at_the_schema(database: Database) -> None:
    def differences(connection: object) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)  # type: ignore[arg-type]

    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == head()


async def test_several_gateways_start_at_once_on_nothing(url: str) -> None:
    first, *others = [Database(database_url(url, Path("unused"))) for _ in range(3)]
    await migrate(first)
    async with first.transaction() as connection:
        for table in ("job_events", "jobs", "alembic_version"):
            await connection.execute(text(f"DROP TABLE {table}"))
    await asyncio.gather(*(migrate(each) for each in (first, *others)))
    async with others[0].reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM jobs"))).scalar_one() == 0
    for each in (first, *others):
        await each.close()


async def test_a_later_programs_database_is_left_alone(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path / "records.db"))
    await migrate(database)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="later version"):
        await migrate(database)
    await database.close()


async def test_a_database_that_is_away_is_named(tmp_path: Path) -> None:
    database = Database(database_url("postgresql://user:s3cret@127.0.0.1:9/jobs", tmp_path / "unused"))
    with pytest.raises(StoreUnavailable, match=r"postgresql.*user:\*\*\*@127.0.0.1:9/jobs") as raised:
        await migrate(database)
    await database.close()
    assert "s3cret" not in raised.value.message


async def test_the_local_database_is_private(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path / "runtime" / "records.db"))
    await migrate(database)
    async with database.reading():
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runtime").iterdir()}
    assert modes == {0o600}
    await database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:s3cret@h/d", "allowed: postgresql, sqlite"),
        ("sqlite://", "must survive"),
        ("sqlite:///:memory:", "must survive"),
        ("postgresql://u:s3cret@h:port/d", "cannot be read"),
        ("s3cret", "cannot be read"),
    ],
)
def test_urls_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(DatabaseUrlError, match=words) as raised:
        database_url(url, Path("unused"))
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_postgresqls_usual_urls(scheme: str) -> None:
    url = database_url(f"{scheme}://u:p@h:5432/d", Path("unused"))
    assert url.drivername == "postgresql+asyncpg" and url.database == "d"
