"""PostgreSQL's connections vanish without a word: they stay open, and nothing that is sent arrives."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tasks_server.store import postgresql_connection
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.outage import is_outage
from tasks_server.task import TaskStatus
from tests.races.roads import Roads
from tests.races.working import settled, working
from tests.store.record import Record, opened
from tests.support.waiting import wait_until
from workers import tool

PATIENCE_SECONDS = 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_connection, "STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(postgresql_connection, "CONNECT_SECONDS", 1.0)


async def backend(record: Record) -> int:
    """Which connection a statement went through."""
    async with record.database.reading() as connection:
        pid: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        return pid


async def test_a_statement_without_an_answer_is_an_outage(roads: Roads):
    proxy, through, _ = roads
    vanished = await backend(through)
    proxy.swallows = True
    for _ in range(2):  # the connection that was there, and a new one
        patience = asyncio.timeout(PATIENCE_SECONDS)
        with pytest.raises(DATABASE_UNAVAILABLE) as raised:
            async with patience:
                await backend(through)
        assert is_outage(raised.value)
        assert not patience.expired(), "the statement ended by itself"
    proxy.swallows = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await backend(through) != vanished


async def test_a_transaction_without_an_answer_is_an_outage(roads: Roads):
    proxy, through, direct = roads
    task = await direct.create()

    async def write() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), through.database.transaction() as connection:
            await connection.execute(text("UPDATE task SET attempt = 7"))
            proxy.swallows = True

    with pytest.raises(DATABASE_UNAVAILABLE, match="has not answered within 1 s") as raised:
        await write()
    assert is_outage(raised.value)
    proxy.swallows = False
    assert (await through.task(task.id)).attempt == 0


async def test_a_statement_that_waits_for_too_long_is_ended_at_the_server_too(
    roads: Roads,
):
    _, through, direct = roads
    with pytest.raises(DATABASE_UNAVAILABLE):
        await through.sql("SELECT pg_sleep(60)")

    async def has_ended() -> bool:
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
        return not await direct.sql(sleeping)

    await wait_until(has_ended, describing="nothing sleeps")


async def test_a_worker_waits_until_its_connections_are_back(roads: Roads, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "workers")
    proxy, through, direct = roads

    @tool(description="Ends while nothing arrives.")
    async def work() -> str:
        proxy.swallows = True
        return "done"

    async with working(through, work):
        task = await direct.create(name="work", arguments="{}")
        await wait_until(
            lambda: any("cannot be written yet" in line.message for line in caplog.records),
            PATIENCE_SECONDS,
            describing="the worker has noticed",
        )
        proxy.swallows = False
        ended = await settled(direct, task.id, PATIENCE_SECONDS)
    assert (ended.status, ended.attempt) == (TaskStatus.COMPLETED, 0)


async def test_migrations_may_take_their_time(roads: Roads):
    database = Database(roads[1].database_url, limits_statements=False)
    try:
        async with database.transaction() as connection:
            await connection.execute(text("SELECT pg_sleep(1.2)"))
    finally:
        await database.close()


async def test_the_kernel_looks_after_connections_too(roads: Roads):
    _, through, _ = roads
    async with through.database.reading() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        end = raw._transport.get_extra_info("socket")
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


async def test_a_process_that_is_paused_in_a_transaction_keeps_no_locks(
    postgresql_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its tasks can be rescued, and what it says when it wakes up counts for nothing."""
    monkeypatch.setattr(postgresql_connection, "IDLE_IN_TRANSACTION_SECONDS", 0.3)
    monkeypatch.setattr(postgresql_connection, "STATEMENT_SECONDS", PATIENCE_SECONDS)
    change = "UPDATE task SET status_message = :message WHERE id = :id"
    async with (
        opened(postgresql_url, redis_url, tmp_path / "artifacts") as paused,
        opened(postgresql_url, redis_url, tmp_path / "artifacts") as other,
    ):
        task = await paused.create()

        async def pause_in_a_transaction() -> None:
            async with paused.database.transaction() as connection:
                await connection.execute(text(change), {"message": "paused", "id": task.id})
                await other.sql(change, message="other", id=task.id)

        with pytest.raises(DATABASE_UNAVAILABLE) as raised:
            await pause_in_a_transaction()
        assert is_outage(raised.value)
        assert (await other.task(task.id)).status_message == "other"
