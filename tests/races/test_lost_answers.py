"""The connection to PostgreSQL is cut between a COMMIT and its answer: it has happened, and nobody was told."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tasks_server.signals import TaskChanged
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.task import TaskStatus
from tests.races.held import HeldTool
from tests.races.roads import Roads
from tests.races.working import settled, working
from tests.store.record import accept, asking, collect, new_task
from tests.support.waiting import wait_until
from workers import TaskContext, Transient, tool

SUBMISSION = "INSERT INTO task "


async def test_who_submits_is_told_of_the_task_that_there_is(roads: Roads):
    proxy, through, direct = roads
    proxy.cut_at_commit(SUBMISSION)
    created = await asyncio.gather(*(through.create(name=f"tool-{number}") for number in range(3)))
    assert proxy.cuts == 1
    for task in created:
        assert await direct.task(task.id) == task
    assert len(await direct.sql("SELECT id FROM task")) == 3
    assert len(await direct.announced()) == 3


async def test_a_commit_that_never_arrived_is_made_up_for(roads: Roads):
    """The row is not there when it is looked for: it is inserted again, under the same id."""
    proxy, through, direct = roads
    proxy.cut_at_commit(SUBMISSION, forwards=False)
    task = await through.create()
    assert proxy.cuts == 1
    assert await direct.task(task.id) == task
    assert len(await direct.sql("SELECT id FROM task")) == 1


async def test_a_database_that_stays_away_is_an_error_after_a_while(
    roads: Roads, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.lifecycle.requests.SETTLE_SECONDS", 0.5)
    proxy, through, direct = roads
    new = new_task()
    proxy.cut_at_commit(SUBMISSION, forwards=False, closes=True)
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await through.requests.create(new)
    assert is_outage(raised.value)
    assert await direct.reader.find(new.id) is None
    with pytest.raises(DATABASE_UNAVAILABLE) as raised:
        await through.requests.create(new)
    assert is_outage(raised.value), "a connection that cannot be opened is an outage too"


async def test_an_end_that_was_written_is_announced(roads: Roads):
    proxy, through, direct = roads
    await direct.start()

    @tool(description="Is quick.")
    async def work(ctx: TaskContext) -> str:
        proxy.cut_at_commit("outcome_kind=", ctx.task_id)
        return "done"

    async with working(through, work), direct.bus.subscribe(TaskChanged) as signals:
        task = await direct.create(name="work", arguments="{}")
        ended = await settled(direct, task.id)
        async with asyncio.timeout(10):
            assert await collect(signals, 2) == [TaskChanged(task.id)] * 2, "claimed, then ended"
    assert ended.status is TaskStatus.COMPLETED
    assert proxy.cuts == 1
    assert ended.attempt == 0


async def test_a_claim_that_was_made_is_used(roads: Roads):
    """Else the task would wait until the lease has run out, and count as the crash of a worker."""
    proxy, through, direct = roads
    runs = Counter[int]()

    @tool(description="Is quick.")
    async def work(ctx: TaskContext) -> str:
        runs[ctx.attempt] += 1
        return "done"

    async with working(through, work):
        new = new_task(name="work", arguments="{}")
        proxy.cut_at_commit("lease_worker=", new.id)
        await direct.requests.create(new)
        ended = await settled(direct, new.id)
    assert proxy.cuts == 1
    assert runs == {0: 1}
    assert (ended.status, ended.attempt) == (TaskStatus.COMPLETED, 0)


async def test_a_question_that_was_put_is_not_put_twice(roads: Roads):
    proxy, through, direct = roads

    @tool(description="Asks.")
    async def work(ctx: TaskContext) -> str:
        proxy.cut_at_commit("INSERT INTO input_request", ctx.task_id)
        answer = await ctx.ask("What is your name?", asking("x")["params"]["requestedSchema"])
        return str(answer.action)

    async with working(through, work, park_after_seconds=60):
        task = await direct.create(name="work", arguments="{}")

        async def asks() -> bool:
            return bool((await direct.task(task.id)).input_requests)

        await wait_until(asks, describing="the question")
        await wait_until(lambda: proxy.cuts, describing="the cut")
        await direct.requests.answer(task.owner, task.id, {"question-1": accept("Ann")})
        ended = await settled(direct, task.id)
    assert ended.status is TaskStatus.COMPLETED
    assert [row["key"] for row in await direct.rows("input_request", task.id)] == ["question-1"]


async def test_a_failed_attempt_that_was_recorded_is_not_taken_for_overtaken(
    roads: Roads, caplog: pytest.LogCaptureFixture
):
    proxy, through, direct = roads

    @tool(description="Fails once.", retries=3, retry_delay="10ms")
    async def work(ctx: TaskContext) -> str:
        if ctx.attempt == 0:
            proxy.cut_at_commit("INSERT INTO task_event", "failed", ctx.task_id)
            raise Transient("not yet")
        return "done"

    async with working(through, work):
        task = await direct.create(name="work", arguments="{}")
        ended = await settled(direct, task.id, 20)
    assert proxy.cuts == 1
    assert (ended.status, ended.attempt, ended.retries_used) == (TaskStatus.COMPLETED, 1, 1)
    assert not [line for line in caplog.messages if "overtaken" in line]


async def test_a_last_failure_that_was_recorded_is_not_taken_for_overtaken(
    roads: Roads, caplog: pytest.LogCaptureFixture
):
    proxy, through, direct = roads

    @tool(description="Fails.")
    async def work(ctx: TaskContext) -> str:
        proxy.cut_at_commit("INSERT INTO task_event", "failed", ctx.task_id)
        raise Transient("not yet")

    async with working(through, work):
        task = await direct.create(name="work", arguments="{}", max_retries=0)
        ended = await settled(direct, task.id, 20)
    assert proxy.cuts == 1
    assert ended.status is TaskStatus.COMPLETED
    assert not [line for line in caplog.messages if "overtaken" in line]


async def test_a_task_that_was_handed_back_is_not_taken_for_overtaken(
    roads: Roads, caplog: pytest.LogCaptureFixture
):
    proxy, through, direct = roads
    held = HeldTool()
    async with working(through, held.work) as crew:
        task = await direct.create(name="work", arguments="{}")
        await held.started.wait()
        proxy.cut_at_commit("INSERT INTO task_event", "released", task.id)
        await crew.leave()
    assert proxy.cuts == 1
    after = await direct.task(task.id)
    assert (after.status, after.attempt, after.lease_worker) == (TaskStatus.WORKING, 1, None)
    assert [kind for kind, _ in await direct.events(task.id)].count("released") == 1
    assert not [line for line in caplog.messages if "overtaken" in line]
