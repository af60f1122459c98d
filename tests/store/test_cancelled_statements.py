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
