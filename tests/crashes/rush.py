"""Tasks in every situation while something breaks: some run, some wait, some come in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from tests.crashes.client import Client
from tests.crashes.house import House, Job, completed_as
from tests.support.processes import Started

AT_ONCE = 2
ONCE = completed_as("step begun", "step done", "start", "end", attempt=0, crashes=0, events=["attempt"])


class Rush:
    """One client's tasks. Its listener has been there since the first of them."""

    def __init__(self, house: House, client: Client, processes: list[Started]) -> None:
        self.client = client
        self.processes = processes
        self.running: list[Job] = []
        self.waiting: list[Job] = []
        self._house = house
        self._listening: list[asyncio.Task[dict[str, str]]] = []

    @property
    def jobs(self) -> list[Job]:
        return self.running + self.waiting

    async def begin(self) -> None:
        """Fill the worker's slots, and put as many more behind them."""
        self.running = await self.submit(AT_ONCE)
        for job in self.running:
            await job.has_written("start")
        self.waiting = await self.submit(AT_ONCE)
        self.listen()

    async def submit(self, count: int) -> list[Job]:
        return [await self._house.submit(self.client, "vigil") for _ in range(count)]

    async def more(self) -> None:
        """What comes while something is broken: new tasks, polls, a listener."""
        self.waiting += await self.submit(1)
        for job in self.jobs:
            assert await self.client.status(job.task_id) in {"working", "completed"}
        self.listen()

    def listen(self) -> None:
        told = self.client.told_of_end(*(job.task_id for job in self.jobs))
        self._listening.append(asyncio.create_task(told))

    async def complete(self, jobs: Iterable[Job]) -> None:
        """Let these tools end, and see it by polling."""
        for job in jobs:
            job.gate.touch()
        for job in jobs:
            await self.client.completed(job.task_id)

    async def balance(self) -> None:
        """Everything that was ever submitted ends once, ran once, and every listener was told."""
        await self.complete(self.jobs)
        for job in self.jobs:
            assert await self._house.story(job) == ONCE
        for told in await asyncio.gather(*self._listening):
            assert set(told.values()) == {"completed"}

    def end(self) -> None:
        for listener in self._listening:
            listener.cancel()


@asynccontextmanager
async def rush(
    house: House, *, lease_seconds: str = "15", redis_url: str | None = None
) -> AsyncGenerator[Rush]:
    """A server, a worker with few slots, and more to do than fits."""
    redis_url = redis_url or house.redis_url
    server, client = await house.serve(redis_url=redis_url)
    worker = await house.work(
        house.tool("vigil", "vigil"), concurrency=AT_ONCE, lease_seconds=lease_seconds, redis_url=redis_url
    )
    await client.offers("vigil")
    tasks = Rush(house, client, [server, worker])
    try:
        await tasks.begin()
        yield tasks
    finally:
        tasks.end()
