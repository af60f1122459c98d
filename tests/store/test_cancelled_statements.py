"""A task that is cancelled in the middle of a statement leaves nothing behind that waits for ever."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import text

from tasks_server.store.database import Database


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_however_often_a_statement_is_cancelled_its_connection_is_closed(
    sqlite_url: str, cancellations: int
):
    database = Database(sqlite_url)
    begun, gate = threading.Event(), threading.Event()
    before = asyncio.all_tasks()

    def hold() -> int:
        begun.set()
        return gate.wait(20)

    async def select() -> None:
        async with database.reading() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.create_function("hold", 0, hold)
            await connection.execute(text("SELECT hold()"))

    selecting = asyncio.create_task(select())
    assert await asyncio.to_thread(begun.wait, 20)
    for _ in range(cancellations):  # as a cancel scope does it, until the task has ended
        selecting.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await selecting
    await database.close()
    left = asyncio.all_tasks() - before - {selecting}
    if left:
        _, left = await asyncio.wait(left, timeout=5)
    assert not left


async def test_a_database_is_closed_only_when_a_statement_that_was_given_up_has_ended(sqlite_url: str):
    database = Database(sqlite_url)
    begun, gate = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        return gate.wait(20)

    async def select() -> None:
        async with database.reading() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.create_function("hold", 0, hold)
            await connection.execute(text("SELECT hold()"))

    threads = set(threading.enumerate())
    selecting = asyncio.create_task(select())
    assert await asyncio.to_thread(begun.wait, 20)
    selecting.cancel()
    closing = asyncio.create_task(database.close())
    await asyncio.wait([closing], timeout=0.2)
    assert not closing.done(), "its thread would report to a loop that may be closed by then"
    gate.set()
    await asyncio.wait([selecting])
    await closing
    left = [t for t in set(threading.enumerate()) - threads if "connection_worker" in t.name and t.is_alive()]
    assert left == []
