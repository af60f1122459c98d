"""A real worker and tools that ask: a slot is given up and got back, and no answer is missed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from tasks_server.task import TaskStatus
from tests.races.working import Crew, parked, settled, working
from tests.store.record import OWNER, Record, accept
from tests.support.waiting import wait_until
from workers import TaskContext, tool

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@tool(description="Adds.")
async def add(a: int, b: int) -> int:
    return a + b


async def test_a_parked_task_leaves_its_slot_to_others_and_goes_on_when_answered(record: Record):
    runs = Counter[str]()

    @tool(description="Asks.")
    async def greet(ctx: TaskContext) -> str:
        runs["greet"] += 1
        await ctx.step("prepare", prepare)
        return f"Hello {(await ctx.ask('Who are you?', FORM))['name']}"

    def prepare() -> int:
        runs["prepare"] += 1
        return 1

    async with working(record, greet, add, concurrency=1) as crew:
        task = await record.create(name="greet", arguments="{}")
        waiting = await parked(record, task.id)
        assert [question.key for question in waiting.input_requests] == ["question-1"]
        await wait_until(lambda: not crew.sessions, describing="the slot is free")
        other = await record.create(name="add", arguments='{"a":2,"b":3}')
        assert (await settled(record, other.id)).status is TaskStatus.COMPLETED
        await record.service.answer(OWNER, task.id, {"question-1": accept("Ada")})
        ended = await settled(record, task.id)
    assert ended.outcome is not None
    assert "Hello Ada" in ended.outcome
    assert (ended.attempt, ended.retries_used) == (1, 0)
    assert runs == {"greet": 2, "prepare": 1}


async def test_an_answer_in_time_keeps_the_run(record: Record):
    @tool(description="Asks.")
    async def greet(ctx: TaskContext) -> str:
        return f"Hello {(await ctx.ask('Who are you?', FORM))['name']}"

    async def asks() -> bool:
        return (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED

    async with working(record, greet, park_after_seconds=30):
        task = await record.create(name="greet", arguments="{}")
        await wait_until(asks, describing="the question")
        await record.service.answer(OWNER, task.id, {"question-1": accept("Ada")})
        ended = await settled(record, task.id)
    assert ended.attempt == 0
    assert ended.outcome is not None
    assert "Hello Ada" in ended.outcome


def running_in(crew: Crew) -> int:
    """How many jobs of this worker run."""
    return sum(queue.busy for queue in crew.worker._queues.slots.workers)  # pyright: ignore[reportPrivateUsage]


async def test_an_answer_reaches_a_task_whose_former_run_has_not_left_yet(record: Record):
    """Parked, the run is told to stop; it takes its time, and the answer brings the task back before it is gone."""
    leaving, may_leave, second_run = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool(description="Asks, and leaves slowly.")
    async def greet(ctx: TaskContext) -> None:
        try:
            await ctx.ask("Who are you?", FORM)
        except asyncio.CancelledError:
            leaving.set()
            await may_leave.wait()
            raise
        second_run.set()
        await asyncio.Event().wait()

    async with working(record, greet) as crew:
        task = await record.create(name="greet", arguments="{}")
        await leaving.wait()
        await record.service.answer(OWNER, task.id, {"question-1": accept("Ada")})
        await second_run.wait()
        assert running_in(crew) == 2
        may_leave.set()
        await wait_until(
            lambda: running_in(crew) == 1,
            describing="the former run is gone",
        )
        assert crew.sessions[task.id].task.attempt == 1
        began = time.perf_counter()
        await record.service.cancel(OWNER, task.id)
        assert (await settled(record, task.id)).status is TaskStatus.CANCELLED
        assert time.perf_counter() - began < 4.0, "long before a renewal of its lease would notice"
