"""Who is started next by a real worker, when one owner has far more waiting than it can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tasks_server.lifecycle.quotas import Quotas
from tests.races.working import settled, working
from tests.store.record import Record, opened
from tests.support.waiting import wait_until
from workers import tool

MANY = 10_000


class Stage:
    """Tools that note who has been started, and end when they are told to."""

    def __init__(self) -> None:
        self.starts: list[str] = []
        self._ends = asyncio.Semaphore(0)

    async def perform(self, who: str) -> str:
        self.starts.append(who)
        await self._ends.acquire()
        return who

    async def next(self) -> str:
        """End what runs, in a worker with one slot, and see what is started then."""
        seen = len(self.starts)
        self._ends.release()
        await wait_until(lambda: len(self.starts) > seen, describing="something is started")
        return self.starts[-1]

    def let_all_end(self) -> None:
        for _ in range(MANY):
            self._ends.release()


async def submit(
    record: Record, who: str, number: int = 1, name: str = "act", queue: str = "default"
) -> None:
    arguments = f'{{"who":"{who}"}}'
    creations = (record.create(owner=who, name=name, queue=queue, arguments=arguments) for _ in range(number))
    await asyncio.gather(*creations)


@pytest.mark.timeout(120)
async def test_ten_thousand_tasks_of_one_owner_do_not_delay_the_first_of_another(record: Record):
    stage = Stage()

    @tool(description="Acts.")
    async def act(who: str) -> str:
        return await stage.perform(who)

    await submit(record, "a", MANY)
    async with working(record, act, concurrency=1):
        await wait_until(lambda: stage.starts, describing="the first one is started")
        await submit(record, "b", 2)
        assert [await stage.next() for _ in range(4)] == ["b", "a", "b", "a"]
        stage.let_all_end()
    (row,) = await record.sql("SELECT count(*) AS n FROM task WHERE announced_at IS NOT NULL")
    assert row.n <= 200 + 2


async def test_queues_of_one_worker_take_turns(record: Record):
    """Whoever floods the queue of one tool does not hold up those who use another one."""
    stage = Stage()

    @tool(description="Acts.")
    async def act(who: str) -> str:
        return await stage.perform(who)

    @tool(description="Acts elsewhere.", queue="elsewhere")
    async def act_elsewhere(who: str) -> str:
        return await stage.perform(who)

    await submit(record, "a", 50)
    async with working(record, act, act_elsewhere, concurrency=1):
        await wait_until(lambda: stage.starts, describing="the first one is started")
        await submit(record, "b", 3, "act_elsewhere", "elsewhere")
        starts = [await stage.next() for _ in range(6)]
        assert starts.count("b") == 3
        stage.let_all_end()


@pytest.fixture
async def narrow(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Record]:
    async with opened(database_url, redis_url, tmp_path / "artifacts", Quotas(window=20)) as record:
        yield record


@pytest.fixture
def no_fallbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs somebody to look around once in a while does not come within the time of a test."""
    monkeypatch.setattr("workers.maintenance.DISPATCH_SECONDS", 600.0)
    monkeypatch.setattr("workers.queue_worker.POLL_SECONDS", 600.0)


@pytest.mark.usefixtures("no_fallbacks")
async def test_a_window_does_not_slow_one_owner_down(narrow: Record):
    """Fifteen windows of work go through a worker on wake-ups alone."""
    done = 0

    @tool(description="Does nothing.")
    async def act(who: str) -> str:
        nonlocal done
        done += 1
        return who

    async with working(narrow, act, dispatch_window=20):
        await submit(narrow, "a", 300)
        await wait_until(lambda: done == 300, 50.0, describing="all have been run")


@pytest.mark.usefixtures("no_fallbacks")
async def test_a_limit_on_running_tasks_is_kept_and_wastes_no_time(record: Record):
    running = most = done = 0

    @tool(description="Counts itself.")
    async def act(who: str) -> str:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1
        return who

    async with working(record, act, max_running_per_owner=2):
        await submit(record, "a", 30)
        other = await record.create(owner="b", name="act", arguments='{"who":"b"}')
        await wait_until(lambda: done == 31, 30.0, describing="all have been run")
        assert (await settled(record, other.id)).attempt == 0
    assert most <= 3
