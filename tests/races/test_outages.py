"""A database that is away, slow or locked, under a worker that goes on."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import pytest
from sqlalchemy import text

from tasks_server.lifecycle.claims import Claims
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.task import TaskStatus
from tests.races.held import HeldTool
from tests.races.working import settled, working
from tests.store.interleaving import GatedAnnouncer, locked
from tests.store.record import OWNER, Record, claim, writer_of
from tests.support.waiting import wait_until
from workers import TaskContext, tool
from workers.abridging import ResultLimits
from workers.registry import Registry
from workers.runner import Runner
from workers.setbacks import Setbacks


async def test_a_pool_without_a_free_connection_is_an_outage_like_any(record: Record):
    """Whoever waits out outages must wait this one out too, or a busy database would end the whole worker."""
    task = await record.create()
    pool = writer_of(record).pool
    pool._timeout = 0.05
    async with AsyncExitStack() as connections:
        while pool.checkedout() < pool.size():
            await connections.enter_async_context(record.database.transaction())
        with pytest.raises(DATABASE_UNAVAILABLE):
            await record.worker().renew([task.id])


def connection_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


@asynccontextmanager
async def hanging(record: Record) -> AsyncGenerator[None]:
    """Everything that has to do with tasks waits: writers on SQLite, readers too on PostgreSQL."""
    async with record.database.transaction() as connection:
        if not record.database.is_sqlite:
            await connection.execute(text("LOCK TABLE task IN ACCESS EXCLUSIVE MODE"))
        yield


async def test_a_worker_that_cannot_renew_stops_what_it_may_have_lost(record: Record, another: Record):
    """Its renewal hangs rather than fails; meanwhile another worker may have taken its task."""
    held = HeldTool()
    # On a busy machine it may lose its lease more often than once; that must not be the end of the task.
    task = await record.create(name="work", arguments="{}", max_retries=99, max_crashes=99)
    for each in (record, another):  # their own connections stay
        await each.row(task.id)
        await each.task(task.id)
    before = connection_threads()
    async with working(record, held.work, lease_seconds=0.5):
        await held.started.wait()
        async with hanging(another):
            began = asyncio.get_running_loop().time()
            await held.ended.wait()
            assert asyncio.get_running_loop().time() - began < 12.0, "before SQLite gives up by itself"
    await wait_until(
        lambda: connection_threads() <= before,
        timeout_seconds=20,
        describing="SQLite has given up what was given up",
    )
    assert (await record.task(task.id)).status is TaskStatus.WORKING


async def test_a_cancel_between_claim_and_start_is_not_overheard(record: Record, another: Record):
    """The nudge comes when the row is held already but nothing runs yet that could be stopped."""
    ran = asyncio.Event()

    @tool(description="Must not run for long.")
    async def work(ctx: TaskContext) -> None:
        ran.set()
        await asyncio.Event().wait()

    registry = Registry(default_queue="default")
    registry.add(work)
    announcer = GatedAnnouncer(record)

    async def publish() -> None: ...

    claims = Claims(record.database, announcer, record.breakers, worker_id="worker-1", lease_ms=60_000)
    runner = Runner(
        registry,
        record.queue,
        claims,
        announcer,
        record.artifacts,
        setbacks=Setbacks(record.failures(claims), registry),
        park_after_seconds=1.0,
        limits=ResultLimits(inline=1_000, most=10_000),
        publish_catalog=publish,
    )
    task = await record.create(name="work", arguments="{}")
    running = asyncio.create_task(runner.run(task.id, 0, task.queue, nullcontext()))
    await announcer.gate.reached.wait()
    await another.service.cancel(OWNER, task.id)
    await runner.look_at(task.id)
    announcer.gate.open()
    await asyncio.wait_for(running, 5.0)
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED
    assert runner.sessions == {}


async def test_a_job_that_is_picked_again_while_its_claim_hangs_is_run_once(record: Record, another: Record):
    held = HeldTool()
    task = await record.create(name="work", arguments="{}", queue="nobody's")
    async with working(record, held.work) as crew:

        def run() -> asyncio.Task[None]:
            return asyncio.create_task(crew.runner.run(task.id, 0, task.queue, nullcontext()))

        async with hanging(another):
            first = run()
            await asyncio.wait_for(asyncio.wait({first, run()}, return_when=asyncio.FIRST_COMPLETED), 5.0)
            assert not first.done()
        await asyncio.wait_for(held.started.wait(), 20.0)
        assert list(crew.runner.sessions) == [task.id]
        held.may_end.set()
        await first
    assert (await record.task(task.id)).attempt == 0


async def test_an_end_that_cannot_be_written_yet_is_written_later(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.endings.FINISH_PAUSE_SECONDS", 0.01)
    refusals = 0

    @tool(description="Is quick.")
    async def work(ctx: TaskContext) -> str:
        await ctx.log("info", "a line")
        return "done"

    async with working(record, work) as crew:
        claims = crew.runner._claims
        real = claims.finish

        async def refuse(*arguments: object) -> object:
            nonlocal refusals
            refusals += 1
            if refusals < 4:
                raise ConnectionRefusedError
            return await real(*arguments)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(claims, "finish", refuse)
        task = await record.create(name="work", arguments="{}")
        assert (await settled(record, task.id)).status is TaskStatus.COMPLETED
    assert refusals == 4
    assert [kind for kind, _ in await record.events(task.id)] == ["attempt", "log"]


async def test_a_worker_of_a_locked_row_does_its_other_work(record: Record, another: Record):
    """PostgreSQL only: SQLite has one lock for all."""
    if record.database.is_sqlite:
        pytest.skip("one lock for all")
    done = asyncio.Event()

    @tool(description="Is quick.")
    async def work() -> str:
        done.set()
        return "done"

    blocked = await claim(another.worker(), await another.create(name="work", arguments="{}"))
    async with working(record, work), locked(another, blocked.id):
        task = await record.create(name="work", arguments="{}")
        assert (await settled(record, task.id)).status is TaskStatus.COMPLETED
    await wait_until(done.is_set, describing="the tool has run")


async def test_a_task_survives_the_death_of_all_database_connections(record: Record, another: Record):
    """A fail-over or a restart of PostgreSQL, seen from a tool that is in the middle of its steps."""
    if record.database.is_sqlite:
        pytest.skip("there is no server that could go away")
    runs = Counter[int]()
    steps = 6
    surviving = await connections_of(another)

    @tool(description="Takes many steps.")
    async def work(ctx: TaskContext) -> str:
        for number in range(steps):
            await ctx.step(f"step-{number}", take, number)
            await ctx.log("info", number)
            await kill_connections(another, surviving)
        await ctx.ask("Go on?", {"type": "object", "properties": {}})
        return "done"

    def take(number: int) -> int:
        runs[number] += 1
        return number

    async with working(record, work, park_after_seconds=60):
        task = await another.create(name="work", arguments="{}")

        async def asks() -> bool:
            return (await another.task(task.id)).status is TaskStatus.INPUT_REQUIRED

        await wait_until(asks, describing="the question")
        await kill_connections(another, surviving)
        await another.requests.answer(OWNER, task.id, {"question-1": {"action": "accept", "content": {}}})
        ended = await settled(another, task.id)
    assert ended.status is TaskStatus.COMPLETED
    assert ended.outcome is not None
    assert "done" in ended.outcome
    assert (ended.attempt, ended.retries_used) == (0, 0)
    assert runs == dict.fromkeys(range(steps), 1)
    lines = [body["data"] for kind, body in await another.events(task.id) if kind == "log"]
    assert lines == list(range(steps))


BACKEND = text("SELECT pg_backend_pid() AS pid")


async def connections_of(record: Record) -> list[int]:
    """As many connections as a test needs of this process, opened and kept."""
    together = asyncio.Barrier(3)

    async def one() -> int:
        async with record.database.reading() as connection:
            await together.wait()
            return (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()

    async def quick() -> int:
        async with record.database.quick_reading() as connection:
            await together.wait()
            return (await connection.fetch(BACKEND, {}))[0].pid

    return [*await asyncio.gather(one(), one(), one()), *await asyncio.gather(quick(), quick(), quick())]


async def kill_connections(survivor: Record, surviving: list[int]) -> None:
    """End every other connection to the database."""
    await survivor.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND NOT pid = ANY(:surviving)",
        surviving=surviving,
    )
