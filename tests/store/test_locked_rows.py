"""Somebody keeps the row of one task locked: that delays this task, and no other. (SQLite has no locks on rows.)"""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from tasks_server.lifecycle import grace
from tasks_server.lifecycle.claims import Claims, Standing
from tasks_server.lifecycle.questions import Question
from tasks_server.task import Task, TaskStatus
from tests.store.counting import traffic
from tests.store.record import ASK_NAME, Record, accept, claim, held, opened
from tests.support.redis_keys import flush

HOUR_MS = 60 * 60 * 1000
PATIENCE_SECONDS = 10


@pytest.fixture
async def record(postgresql_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Record]:
    async with opened(postgresql_url, redis_url, tmp_path / "artifacts") as record:
        yield record


@pytest.fixture
async def another(record: Record, tmp_path: Path) -> AsyncGenerator[Record]:
    """Who sits on the row."""
    async with opened(record.database_url, record.redis_url, tmp_path / "artifacts") as another:
        yield another


@asynccontextmanager
async def locked(record: Record, task_id: str) -> AsyncGenerator[None]:
    """As a session that was forgotten."""
    async with record.database.transaction() as connection:
        await connection.execute(text("SELECT 1 FROM task WHERE id = :id FOR UPDATE"), {"id": task_id})
        yield


async def enter(record: Record, worker: Claims) -> None:
    """Say that this worker is there."""
    await record.sql(
        "INSERT INTO worker (id, host, pid, concurrency, manifest_digest, started_at, renewed_at)"
        " VALUES (:id, 'here', 1, 1, 'none', 0, extract(epoch FROM clock_timestamp()) * 1000)",
        id=worker.worker_id,
    )


async def two_held(record: Record, worker: Claims) -> tuple[Task, Task]:
    return await claim(worker, await record.create()), await claim(worker, await record.create())


async def test_a_locked_task_costs_no_other_its_lease(record: Record, another: Record):
    worker = record.worker()
    stuck, free = await two_held(record, worker)
    for task in (stuck, free):
        await record.shift(task.id, "lease_until", -30_000)
    before = (await record.row(stuck.id))["lease_until"]
    async with locked(another, stuck.id), asyncio.timeout(PATIENCE_SECONDS):
        standings = await worker.renew([stuck.id, free.id])
    assert {standing.held: standing.renewed for standing in standings} == {
        held(stuck): False,
        held(free): True,
    }
    assert (await record.row(stuck.id))["lease_until"] == before
    assert (await record.row(free.id))["lease_until"] > before + 29_000
    with traffic(record) as seen:
        assert await worker.renew([stuck.id]) == [Standing(held(stuck), cancel_requested=False)]
    assert len(seen.statements) == 1


async def test_a_lost_task_is_missing_though_it_is_locked(record: Record, another: Record):
    worker = record.worker()
    lost, free = await two_held(record, worker)
    await record.sql("UPDATE task SET lease_worker = 'else' WHERE id = :id", id=lost.id)
    async with locked(another, lost.id), asyncio.timeout(PATIENCE_SECONDS):
        assert [standing.held for standing in await worker.renew([lost.id, free.id])] == [held(free)]


async def test_a_log_line_that_is_being_written_delays_no_renewal(record: Record, another: Record):
    """Whoever inserts what refers to a task locks the task's key, which a renewal does not change."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    async with another.database.transaction() as connection:
        await connection.exec_driver_sql(f"SELECT 1 FROM task WHERE id = '{task.id}' FOR KEY SHARE")
        (standing,) = await worker.renew([task.id])
    assert standing.renewed


async def test_a_locked_task_holds_up_no_rescue(record: Record, another: Record):
    dead = record.worker("dead", lease_ms=-1000)
    stuck, free = await two_held(record, dead)
    async with locked(another, stuck.id), asyncio.timeout(PATIENCE_SECONDS):
        assert await record.upkeep.rescue() == 1
    assert (await record.task(free.id)).crashes == 1
    assert await record.upkeep.rescue() == 1
    assert (await record.task(stuck.id)).crashes == 1


async def test_a_task_that_is_locked_while_it_is_to_be_rescued_waits(record: Record, another: Record):
    """Between the look and the change."""
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    async with locked(another, task.id), asyncio.timeout(PATIENCE_SECONDS):
        assert await record.upkeep._rescue_one(task) is None


async def test_a_worker_that_lives_has_time_to_renew_what_was_locked(
    record: Record, another: Record, monkeypatch: pytest.MonkeyPatch
):
    worker = record.worker()
    await enter(record, worker)
    task = await claim(worker, await record.create())
    await record.shift(task.id, "lease_until", -HOUR_MS)
    async with locked(another, task.id):
        assert await record.upkeep.rescue() == 0
    assert await record.upkeep.rescue() == 0
    await worker.renew([task.id])
    monkeypatch.setattr(grace, "GRACE_SECONDS", 0)
    assert await record.upkeep.rescue() == 0
    assert (await record.task(task.id)).crashes == 0


async def test_a_worker_that_lives_but_does_not_renew_a_task_loses_it(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    """It has lost sight of the task: a claim of its own, perhaps, that it never heard of."""
    worker = record.worker()
    await enter(record, worker)
    task = await claim(worker, await record.create())
    await record.shift(task.id, "lease_until", -HOUR_MS)
    assert await record.upkeep.rescue() == 0
    monkeypatch.setattr(grace, "GRACE_SECONDS", 0)
    assert await record.upkeep.rescue() == 1


async def test_a_locked_task_holds_up_no_announcement(record: Record, another: Record):
    stuck, free = await record.create(), await record.create()
    flush(record.redis_url)
    async with locked(another, stuck.id), asyncio.timeout(PATIENCE_SECONDS):
        assert await record.upkeep.dispatch() == 1
        await record.shift(free.id, "next_dispatch_at", -120_000)
        assert await record.upkeep.dispatch() == 1
    assert f"{free.id}:0" in await record.announced()


async def test_a_locked_task_holds_up_no_question(record: Record, another: Record):
    worker = record.worker()
    stuck, free = await two_held(record, worker)
    for task in (stuck, free):
        await worker.ask(held(task), [Question("name", ASK_NAME, HOUR_MS, accept("nobody"))])
    await record.sql("UPDATE input_request SET deadline_at = deadline_at - :by", by=2 * HOUR_MS)
    async with locked(another, stuck.id), asyncio.timeout(PATIENCE_SECONDS):
        assert await record.deadlines.close_overdue_questions() == 1
        assert await record.deadlines.close_overdue_questions() == 0
    assert (await record.task(free.id)).status is TaskStatus.WORKING
    assert (await record.task(stuck.id)).status is TaskStatus.INPUT_REQUIRED
    assert await record.deadlines.close_overdue_questions() == 1


async def test_a_locked_task_holds_up_no_expiry(record: Record, another: Record):
    stuck, free = await record.finished(retention_ms=0), await record.finished(retention_ms=0)
    async with locked(another, stuck.id), asyncio.timeout(PATIENCE_SECONDS):
        assert await record.expiry.expire() == [free.id]
    assert await record.expiry.expire() == [stuck.id]
