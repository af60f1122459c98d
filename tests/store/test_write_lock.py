"""SQLite's one write lock: whoever is cancelled while holding it lets go of it, whoever opens a file waits for it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from tasks_server.store import sqlite_connection
from tasks_server.store.database import Database
from tests.support.waiting import wait_until

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


async def test_a_new_file_is_opened_once_whoever_writes_to_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another process does that has not switched it to its write-ahead log yet."""
    refusals: list[float] = []
    pause = time.sleep

    def refused(seconds: float) -> None:
        refusals.append(seconds)
        pause(seconds)

    monkeypatch.setattr(sqlite_connection.time, "sleep", refused)
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'tasks.db'}")

    async def mode() -> Any:
        async with database.reading() as connection:
            return (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()

    with sqlite3.connect(tmp_path / "tasks.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        opening = asyncio.create_task(mode())
        await wait_until(lambda: refusals or opening.done(), describing="the file is being opened")
        assert not opening.done()
        other.execute("COMMIT")
    assert await opening == "wal"
    await database.close()
