"""A real worker over a real database and Valkey: what it does with tasks that other things happen to."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest

from tasks_server.task import TaskStatus
from tests.races.held import HeldTool
from tests.races.working import settled, working
from tests.store.record import OWNER, Record, finish, opened
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until
from workers import tool


@tool(description="Adds.")
async def add(a: int, b: int) -> int:
    return a + b


async def test_a_task_is_run_and_its_result_recorded(record: Record):
    async with working(record, add):
        task = await record.create(name="add", arguments='{"a":2,"b":3}')
        ended = await settled(record, task.id)
    assert ended.status is TaskStatus.COMPLETED
    assert ended.outcome is not None
    assert '"5"' in ended.outcome
    assert ended.attempt == 0
    assert await record.announced() == []


async def test_cancel_stops_an_async_tool_at_once(record: Record):
    held = HeldTool()
    async with working(record, held.work) as crew:
        task = await record.create(name="work", arguments="{}")
        await held.started.wait()
        began = time.perf_counter()
        await record.service.cancel(OWNER, task.id)
        await held.ended.wait()
        ended = await settled(record, task.id)
        assert time.perf_counter() - began < 4.0, "long before a renewal of its lease would notice"
        await wait_until(lambda: not crew.sessions, describing="the session is over")
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Cancelled")


async def test_a_worker_that_stops_hands_back_uncharged(record: Record):
    held = HeldTool()

    @tool("work", description="Is quick.")
    async def quick_work() -> str:
        return "done"

    async with working(record, held.work) as crew:
        task = await record.create(name="work", arguments="{}")
        await held.started.wait()
        await crew.leave()
        returned = await record.task(task.id)
        assert (returned.attempt, returned.retries_used) == (1, 0)
        assert (returned.status, returned.lease_worker) == (TaskStatus.WORKING, None)
        (presence,) = await record.roster.present(60_000)
        assert presence.stopped
    assert await record.announced() == [f"{task.id}:1"]
    async with working(record, quick_work):
        ended = await settled(record, task.id)
    assert (ended.status, ended.retries_used) == (TaskStatus.COMPLETED, 0)


async def test_short_work_is_finished_before_a_worker_leaves(record: Record):
    held = HeldTool()
    async with working(record, held.work, shutdown_grace_seconds=30) as crew:
        task = await record.create(name="work", arguments="{}")
        await held.started.wait()
        leaving = asyncio.create_task(crew.leave())

        async def is_told() -> bool:
            return (await record.roster.present(60_000))[0].stopped

        await wait_until(is_told, describing="the worker says that it leaves")
        late = await record.create(name="work", arguments="{}")
        held.may_end.set()
        await leaving
    assert (await record.task(task.id)).status is TaskStatus.COMPLETED
    assert (await record.row(late.id))["started_at"] is None
    assert await record.announced() == [f"{late.id}:0"]


async def test_queues_share_the_slots_of_a_worker(record: Record):
    running: set[str] = set()
    most = 0
    names = [f"{queue}-{number}" for queue in ("left", "right") for number in range(4)]
    may_end = {name: asyncio.Event() for name in names}

    async def work(name: str) -> None:
        nonlocal most
        running.add(name)
        most = max(most, len(running))
        await may_end[name].wait()
        running.discard(name)

    @tool(description="On the left.", queue="left")
    async def left(name: str) -> None:
        await work(name)

    @tool(description="On the right.", queue="right")
    async def right(name: str) -> None:
        await work(name)

    async with working(record, left, right, concurrency=2):
        tasks = [
            await record.create(name=queue, queue=queue, arguments=f'{{"name":"{queue}-{number}"}}')
            for number in range(4)
            for queue in ("left", "right")
        ]
        released: set[str] = set()

        def slots_are_full() -> bool:
            return len(running - released) == min(2, len(names) - len(released))

        while len(released) < len(names):
            await wait_until(slots_are_full, describing="full slots")
            name = min(running - released)
            released.add(name)
            may_end[name].set()
        for task in tasks:
            assert (await settled(record, task.id)).status is TaskStatus.COMPLETED
    assert most == 2


async def test_every_queue_of_a_worker_is_woken(record: Record, monkeypatch: pytest.MonkeyPatch):
    """None of them has to wait for its next poll."""
    monkeypatch.setattr("workers.queue_worker.POLL_SECONDS", 30.0)

    @tool(description="On the left.", queue="left")
    async def left() -> None: ...

    @tool(description="On the right.", queue="right")
    async def right() -> None: ...

    async with working(record, left, right):
        for _ in range(2):
            for queue in ("left", "right"):
                task = await record.create(name=queue, queue=queue, arguments="{}")
                await settled(record, task.id)


async def test_work_of_an_unknown_tool_is_left_to_another_worker(record: Record):
    @tool(description="Is elsewhere.")
    async def elsewhere() -> str:
        return "done"

    async def was_returned() -> bool:
        return ("released", {"attempt": 0, "why": "not offered"}) in await record.events(task.id)

    async with working(record, add):
        task = await record.create(name="elsewhere", arguments="{}")
        await wait_until(was_returned, describing="the task is handed back")
        assert (await record.task(task.id)).retries_used == 0
    async with working(record, elsewhere):
        await record.shift(task.id, "next_dispatch_at", -60_000)
        assert (await settled(record, task.id)).status is TaskStatus.COMPLETED


async def test_a_lease_is_renewed_for_as_long_as_the_tool_runs(record: Record):
    held = HeldTool()
    async with working(record, held.work, lease_seconds=1.5):  # less is lost on a machine that is busy
        task = await record.create(name="work", arguments="{}")
        await held.started.wait()
        first = await record.row(task.id)

        async def outlived() -> bool:
            row = await record.row(task.id)
            return row["lease_until"] > first["lease_until"] + 1600

        await wait_until(outlived, describing="another whole lease")
        await record.upkeep.rescue()
        held.may_end.set()
        ended = await settled(record, task.id)
    assert (ended.status, ended.attempt, ended.retries_used) == (TaskStatus.COMPLETED, 0, 0)
    assert (await record.events(task.id))[0][0] == "attempt"


async def test_a_run_that_was_overtaken_stops_and_changes_nothing(record: Record):
    held = HeldTool()
    async with working(record, held.work, lease_seconds=0.3):
        task = await record.create(name="work", arguments="{}", queue="default")
        await held.started.wait()
        await record.sql(
            "UPDATE task SET attempt = 1, lease_worker = 'thief', lease_until = lease_until + 60000 WHERE id = :id",
            id=task.id,
        )
        await held.ended.wait()
        taken = await record.task(task.id)
        assert (taken.lease_worker, taken.attempt) == ("thief", 1)
        ended = await finish(record.worker("thief"), taken)
    assert await record.task(task.id) == ended


async def test_a_run_ends_at_its_time_limit(record: Record):
    @tool(description="Waits for ever.", timeout="30m")
    async def work() -> None:
        await asyncio.Event().wait()

    async with working(record, work):
        task = await record.create(name="work", arguments="{}", run_timeout_ms=50)
        ended = await settled(record, task.id)
    assert ended.status is TaskStatus.FAILED
    assert ended.status_message == "work exceeded its time limit of 0.05 s for one attempt, and was stopped."


async def test_nothing_is_lost_while_valkey_is_gone(database_url: str, valkey: ValkeyServer, tmp_path: Path):
    runs = Counter[str]()
    may_end = asyncio.Event()

    @tool(description="Counts.")
    async def count(name: str) -> None:
        runs[name] += 1
        if name == "running":
            await may_end.wait()

    async with opened(database_url, valkey.url, tmp_path / "artifacts") as record, working(record, count):
        tasks = {"running": await record.create(name="count", arguments='{"name":"running"}')}
        await wait_until(lambda: runs["running"], describing="the first run")
        valkey.kill()
        tasks["during"] = await record.create(name="count", arguments='{"name":"during"}')
        may_end.set()
        assert (await settled(record, tasks["running"].id)).status is TaskStatus.COMPLETED
        valkey.start()
        tasks["after"] = await record.create(name="count", arguments='{"name":"after"}')
        for task in tasks.values():
            assert (await settled(record, task.id)).status is TaskStatus.COMPLETED
    assert runs == dict.fromkeys(tasks, 1)
