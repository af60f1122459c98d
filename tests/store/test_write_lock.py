"""SQLite's one write lock: whoever is cancelled while holding it must let go of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from tasks_server.store.database import Database

SLOW_INSERT = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
    " INSERT INTO a (b) SELECT i FROM n RETURNING b"
)


@pytest.fixture
def _garbage_kept() -> Iterator[None]:
    """What a cancelled task leaves behind may live for long; here it lives until the end of the test."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_garbage_kept")
async def test_a_cancelled_transaction_lets_go_of_the_write_lock(sqlite_url: str) -> None:
    mine, theirs = Database(sqlite_url), Database(sqlite_url)
    inserting = asyncio.Event()

    def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO a" in statement:
            inserting.set()

    async def write() -> None:
        async with mine.transaction() as connection:
            event.listen(connection.sync_connection, "before_cursor_execute", look)
            await connection.execute(text("CREATE TABLE a (b INTEGER)"))
            await connection.execute(SLOW_INSERT)

    task = asyncio.create_task(write())
    await inserting.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    async with asyncio.timeout(5), theirs.transaction() as connection:
        await connection.execute(text("CREATE TABLE a (b INTEGER)"))
    await mine.close()
    await theirs.close()
