"""A real worker and what is late: runs that are stopped, questions that nobody answers, askers that give up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

from tasks_server.task import Task, TaskStatus
from tests.races.working import parked, settled, working
from tests.store.record import OWNER, Record, accept
from tests.support.waiting import wait_until
from workers import TaskContext, Unanswered, tool


class Name(BaseModel):
    name: str


@tool(description="Greets whoever answers, or else the world.")
async def greet(ctx: TaskContext) -> str:
    answer = await ctx.ask("Who are you?", Name, key="who", within="200ms", default=Name(name="world"))
    return f"Hello {answer.name}"


@tool(description="Says that nobody has answered.")
async def insist(ctx: TaskContext) -> str:
    try:
        await ctx.ask("Who are you?", Name, within="200ms")
    except Unanswered as error:
        return f"{error} ({error.waited_ms}, {error.action})"
    return "answered"


NOBODY = "Nobody answered the question within 0.2 s: Who are you? (200, cancel)"


@pytest.mark.parametrize(("function", "said"), [(greet, "Hello world"), (insist, NOBODY)])
@pytest.mark.parametrize("park_after_seconds", [0.02, 60], ids=["parked", "held"])
async def test_a_tool_goes_on_when_nobody_answers(
    record: Record, function: Any, said: str, park_after_seconds: float
):
    async with working(record, function, park_after_seconds=park_after_seconds):
        task = await record.create(name=function.__name__, arguments="{}")
        ended = await settled(record, task.id)
    assert ended.status is TaskStatus.COMPLETED
    assert said in (ended.outcome or "")
    assert ended.retries_used == 0


async def test_a_run_ends_at_the_deadline_of_its_task_whatever_its_time_limit(record: Record):
    stopped = asyncio.Event()

    @tool(description="Waits for ever.")
    async def work(ctx: TaskContext) -> None:
        await ctx.progress(3, 10, "page 3")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with working(record, work):
        task = await record.create(name="work", arguments="{}", run_timeout_ms=1_800_000, deadline_ms=1_500)
        ended = await settled(record, task.id)
        assert stopped.is_set()
    assert ended.status is TaskStatus.FAILED
    assert ended.status_message == 'work exceeded its deadline of 1.5 s, and was stopped at "page 3".'


async def test_the_deadline_counts_across_attempts(record: Record):
    """A worker had the task for nearly all of its time, and gave it back."""
    runs = Counter[str]()

    @tool(description="Waits for ever.")
    async def work() -> None:
        runs["work"] += 1
        await asyncio.Event().wait()

    task = await record.create(name="work", arguments="{}", deadline_ms=3_600_000)
    for column in ("created_at", "deadline_at"):
        await record.shift(task.id, column, -3_598_000)
    async with working(record, work):
        ended = await settled(record, task.id)
    assert runs["work"] == 1
    assert ended.status_message == "work exceeded its deadline of 1 h, and was stopped."


async def test_the_operators_limit_stops_a_run(record: Record):
    @tool(description="Waits for ever.", timeout=None)
    async def work() -> None:
        await asyncio.Event().wait()

    async with working(record, work, max_run_seconds=0.05):
        task = await record.create(name="work", arguments="{}")
        ended = await settled(record, task.id)
    assert ended.status_message == (
        "work exceeded the operator's time limit of 0.05 s for one attempt, and was stopped."
    )


async def working_again(record: Record, task: Task) -> Task:
    async def works() -> Task | None:
        now = await record.task(task.id)
        return now if now.status is TaskStatus.WORKING else None

    found = await wait_until(works, describing=f"{task.id} does not ask any more")
    assert found is not None
    return found


async def test_a_question_whose_asker_gave_up_is_taken_back(record: Record):
    asked, may_give_up, gave_up, may_end = (asyncio.Event() for _ in range(4))

    @tool(description="Asks for a while, then does without.")
    async def work(ctx: TaskContext) -> str:
        asking = asyncio.create_task(ctx.ask("Who are you?", Name, key="who"))
        asked.set()
        await may_give_up.wait()
        asking.cancel()
        gave_up.set()
        await may_end.wait()
        return f"Hello {(await ctx.ask('Who are you?', Name, key='who')).name}"

    async with working(record, work, park_after_seconds=60):
        task = await record.create(name="work", arguments="{}")
        await asked.wait()
        await wait_until(
            lambda: _asks(record, task), describing="the question is in the record", timeout_seconds=20
        )
        may_give_up.set()
        await gave_up.wait()
        after = await working_again(record, task)
        assert (after.input_requests, after.attempt) == ((), 0)
        assert after.lease_worker is not None
        may_end.set()
        await wait_until(lambda: _asks(record, task), describing="the second question")
        (question,) = (await record.task(task.id)).input_requests
        assert question.key == "who.2"
        await record.service.answer(OWNER, task.id, {"who.2": accept("Ada")})
        ended = await settled(record, task.id)
    assert "Hello Ada" in (ended.outcome or "")


async def test_a_question_that_somebody_else_still_asks_stays_open(record: Record):
    may_give_up, gave_up = asyncio.Event(), asyncio.Event()

    @tool(description="Asks the same thing twice, and gives up once.")
    async def work(ctx: TaskContext) -> str:
        first, second = (asyncio.create_task(ctx.ask("Who are you?", Name, key="who")) for _ in range(2))
        await may_give_up.wait()
        first.cancel()
        gave_up.set()
        return f"Hello {(await second).name}"

    async with working(record, work, park_after_seconds=60):
        task = await record.create(name="work", arguments="{}")
        await wait_until(lambda: _asks(record, task), describing="the question")
        may_give_up.set()
        await gave_up.wait()
        await record.service.answer(OWNER, task.id, {"who": accept("Ada")})
        ended = await settled(record, task.id)
    assert "Hello Ada" in (ended.outcome or "")


async def test_a_task_that_stopped_asking_is_rescued_and_not_parked(record: Record):
    """Nobody would ever answer it."""
    runs = Counter[str]()

    @tool(description="Gives up its question at once, and works on.")
    async def work(ctx: TaskContext) -> str:
        runs["work"] += 1
        if runs["work"] == 2:
            return "done"
        try:
            await asyncio.wait_for(ctx.ask("Who are you?", Name), 0.3)
        except TimeoutError:
            runs["gave up"] += 1
        await asyncio.Event().wait()
        return ""

    async with working(record, work, park_after_seconds=60) as crew:
        task = await record.create(name="work", arguments="{}", queue="default")
        await wait_until(lambda: runs["gave up"], describing="the tool gives up")
        await working_again(record, task)
        await crew.leave()
    after = await record.task(task.id)
    assert (after.status, after.lease_worker) == (TaskStatus.WORKING, None)
    async with working(record, work):
        ended = await settled(record, task.id)
    assert "done" in (ended.outcome or "")


async def test_a_parked_question_with_a_deadline_can_still_be_answered(record: Record):
    @tool(description="Greets.")
    async def patiently(ctx: TaskContext) -> str:
        return (await ctx.ask("Who are you?", Name, key="who", within="2d", default={"name": "x"})).name

    async with working(record, patiently):
        task = await record.create(name="patiently", arguments="{}")
        await parked(record, task.id)
        await record.service.answer(OWNER, task.id, {"who": accept("Ada")})
        ended = await settled(record, task.id)
    assert "Ada" in (ended.outcome or "")


async def _asks(record: Record, task: Task) -> bool:
    return (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
