"""A worker claims a little more than it has slots for, as long as its tools are quick."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tasks_server.task import TaskStatus
from tests.races.working import settled, working
from tests.store.record import OWNER, Record
from tests.support.waiting import wait_until
from workers import TaskContext, tool
from workers.queue_worker import NoSlot

SLOTS = 4
QUICK = 60


async def held(record: Record) -> int:
    return int((await record.sql("SELECT count(*) FROM task WHERE lease_worker IS NOT NULL"))[0][0])


async def test_what_was_claimed_ahead_is_handed_back_when_tools_become_slow(record: Record, another: Record):
    """It must not wait for this worker's slots while another worker has some."""
    gate, at_once, most = asyncio.Event(), 0, 0

    @tool(description="Is quick, or waits.")
    async def work(ctx: TaskContext, slow: bool) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if slow:
            await gate.wait()
        at_once -= 1
        return "done"

    async with working(record, work, concurrency=SLOTS):
        tasks = [
            await another.create(name="work", arguments=f'{{"slow":{str(number >= QUICK).lower()}}}')
            for number in range(QUICK + 3 * SLOTS)
        ]
        await wait_until(lambda: at_once == SLOTS, 20, describing="slow tools have all slots")

        async def only_those_are_held() -> bool:
            return await held(another) == SLOTS

        await wait_until(only_those_are_held, 20, describing="the others wait for anybody")
        gate.set()
        ended = [await settled(another, task.id, 20) for task in tasks]
    assert most == SLOTS
    assert {task.status for task in ended} == {TaskStatus.COMPLETED}
    assert {task.crashes for task in ended} == {0}


async def test_a_task_that_is_cancelled_while_it_finds_no_slot_ends_as_cancelled(record: Record):
    @tool(description="Never begins.")
    async def work() -> str:
        raise AssertionError("there was no slot")

    async with working(record, work) as crew:
        task = await record.create(name="work", arguments="{}", queue="looked into by nobody")

        @asynccontextmanager
        async def none_in_time() -> AsyncGenerator[None]:
            session = crew.sessions[task.id]
            await record.requests.cancel(OWNER, task.id)
            await wait_until(lambda: session.stopped, describing="the worker hears of the cancellation")
            raise NoSlot
            yield

        await crew.runner.run(task.id, task.attempt, task.queue, none_in_time())
        assert (await record.task(task.id)).status is TaskStatus.CANCELLED
