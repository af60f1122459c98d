"""A worker of the product in this process, with tools that a test holds in its hand."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tasks_server.bus import Bus
from tasks_server.redis_client import connect, connect_blocking
from tasks_server.settings import Settings
from tasks_server.store.database import Database
from tasks_server.task import Task, TaskStatus
from tests.store.record import Record
from tests.support.waiting import wait_until
from workers.registry import Registry
from workers.runner import Runner
from workers.session import Session
from workers.worker import Worker


class Crew:
    """One worker at work, and the task that runs it."""

    def __init__(self, worker: Worker, running: asyncio.Task[None]) -> None:
        self.worker = worker
        self.running = running

    @property
    def runner(self) -> Runner:
        return self.worker._runner  # pyright: ignore[reportPrivateUsage]

    @property
    def sessions(self) -> dict[str, Session]:
        return self.runner.sessions

    async def leave(self) -> None:
        """Tell it to stop, as its supervisor would, and see it off."""
        signal.raise_signal(signal.SIGTERM)
        await self.running


@asynccontextmanager
async def working(
    record: Record, *functions: Callable[..., Any], concurrency: int = 10, **settings: Any
) -> AsyncGenerator[Crew]:
    """A worker that offers these functions; told to stop at the end. At most one at a time: it takes signals."""
    fields: dict[str, Any] = {
        "database_url": record.database_url,
        "redis_url": record.redis_url,
        "artifact_dir": record.directory,
        "shutdown_grace_seconds": 0,
        "park_after_seconds": 0.02,
    }
    registry = Registry(default_queue="default")
    for function in functions:
        registry.add(function)
    database = Database(record.database_url)
    redis = connect(record.redis_url)
    bus = Bus(redis, connect_blocking(record.redis_url))
    worker = Worker(
        Settings.model_validate(fields | settings), registry, database, redis, bus, concurrency=concurrency
    )
    crew = Crew(worker, asyncio.create_task(worker.run()))
    try:
        await wait_until(
            lambda: crew.running.done() or bus.connected.is_set(), describing="the worker is connected"
        )
        yield crew
    finally:
        if not crew.running.done():
            await crew.leave()
        await bus.close()
        await redis.aclose()
        await database.close()
    await crew.running


async def settled(record: Record, task_id: str, timeout_seconds: float = 10.0) -> Task:
    """The task once it has ended."""

    async def ended() -> Task | None:
        task = await record.task(task_id)
        return task if task.is_terminal else None

    task = await wait_until(ended, timeout_seconds, describing=f"the end of {task_id}")
    assert task is not None
    return task


async def parked(record: Record, task_id: str) -> Task:
    """The task once it waits for an answer and no worker holds it."""

    async def waits() -> Task | None:
        task = await record.task(task_id)
        is_parked = task.status is TaskStatus.INPUT_REQUIRED and task.lease_worker is None
        return task if is_parked else None

    task = await wait_until(waits, describing=f"{task_id} is parked")
    assert task is not None
    return task
