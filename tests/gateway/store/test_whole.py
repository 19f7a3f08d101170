"""A caller who is cancelled in the middle of a write leaves no lock behind."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store.database import Database, database_url
from gateway.store.whole import whole


async def test_a_write_ends_before_its_cancelled_caller_does() -> None:
    done: list[str] = []
    begun = asyncio.Event()

    @whole
    async def write() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        done.append("written")

    caller = asyncio.create_task(write())
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0.01)
    caller.cancel()  # whoever is in a hurry must wait too
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["written"]


async def test_what_a_write_raises_is_its_callers() -> None:
    @whole
    async def write() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await write()


async def test_sqlite_is_free_after_callers_were_cancelled(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path / "jobs.sqlite"))

    @whole
    async def write(number: int) -> None:
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})

    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE kept (number INTEGER)"))
    callers = [asyncio.create_task(write(number)) for number in range(40)]
    for order, caller in enumerate(callers):
        await asyncio.sleep(0.001)
        if order % 2:
            caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    async with asyncio.timeout(20):
        await write(100)
    async with database.reading() as connection:
        kept = (await connection.execute(text("SELECT number FROM kept"))).scalars().all()
    assert {*range(0, 40, 2), 100} <= set(kept), "who was not cancelled has written"
    await database.close()
