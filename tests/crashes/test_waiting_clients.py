"""A call through the client extension gets its result, whatever dies while it waits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from tasks_server.client import ServerUnreachable
from tests.crashes.house import ON_SQLITE, House, Job
from tests.sdk.agent import Agent, text_of
from tests.support.front import Front
from tests.support.processes import Started
from tests.support.servers import PostgresServer, ValkeyServer
from tests.support.waiting import wait_until

SOON_SECONDS = 5
"""Servers look at everything that is followed, once a second while Redis is away, otherwise every ten."""


class Case:
    """Two replicas behind one address, and a call that waits for its task."""

    def __init__(self, house: House, front: Front, replicas: list[Started]) -> None:
        self.house = house
        self.front = front
        self.replicas = replicas
        self.agent = Agent(front.url)

    @asynccontextmanager
    async def calling(self, **callbacks: Any) -> AsyncGenerator[tuple[asyncio.Task[CallToolResult], Job]]:
        diary, gate = self.house.paths("vigil")
        arguments = {"diary": str(diary), "gate": str(gate)}
        async with (
            self.agent.connected(**callbacks) as client,
            self.agent.calling(client, "vigil", arguments) as call,
        ):
            yield call, Job(self.agent.task_id, diary, gate)

    async def kill(self, *replicas: Started) -> None:
        for replica in replicas:
            assert await replica.stop(signal.SIGKILL) == -signal.SIGKILL

    async def replace(self) -> None:
        """Another server, under the same address."""
        self.front.servers = [(await self.house.serve())[1].url]


@asynccontextmanager
async def case(house: House, function: str = "vigil") -> AsyncGenerator[Case]:
    (first, one), (second, other) = await house.serve(), await house.serve()
    await house.work(house.tool("vigil", function))
    await one.offers("vigil")
    await other.offers("vigil")
    async with Front(one.url, other.url).running() as front:
        yield Case(house, front, [first, second])


async def test_one_replica_after_the_other_is_killed(house: House):
    async with case(house) as here, here.calling() as (call, job):
        await job.has_written("start")
        await here.kill(here.replicas[0])
        third, client = await here.house.serve()
        here.front.servers.append(client.url)
        await here.kill(here.replicas[1])
        job.gate.touch()
        assert text_of(await call) == "done"
    assert (await house.story(job)).diary == ["step begun", "step done", "start", "end"]
    assert third.exit_code is None


@ON_SQLITE
async def test_all_replicas_are_killed_and_come_back(house: House):
    async with case(house) as here, here.calling() as (call, job):
        await job.has_written("start")
        await here.kill(*here.replicas)
        job.gate.touch()
        await job.has_written("end")
        await here.replace()
        assert text_of(await call) == "done"


@ON_SQLITE
async def test_replicas_are_killed_while_a_person_thinks(house: House):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def think(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.set()
        await answer.wait()
        return ElicitResult(action="accept", content={})

    async with case(house, "inquiry") as here, here.calling(elicitation_callback=think) as (call, job):
        await asked.wait()
        await here.kill(*here.replicas)
        await here.replace()
        answer.set()
        assert text_of(await call) == "done"
    assert job.diary.count("step done") == 1


@pytest.mark.parametrize("instant", ["submission committed, not queued", "submission queued, not answered"])
async def test_a_replica_dies_before_it_has_named_the_task(house: House, instant: str):
    """The same call is sent again, under the same key: one task, and its result."""
    _, healthy = await house.serve()
    dying, doomed = await house.serve(dies_at=instant)
    await house.work(house.tool("vigil", "vigil"))
    await healthy.offers("vigil")
    await doomed.offers("vigil")
    diary, gate = house.paths("vigil")
    gate.touch()
    async with Front(doomed.url).running() as front:
        agent = Agent(front.url)
        async with agent.connected() as client:
            front.servers = [doomed.url, healthy.url]
            calling = asyncio.create_task(client.call_tool("vigil", {"diary": str(diary), "gate": str(gate)}))
            await dying.ended()
            assert text_of(await calling) == "done"
    assert len(await house.record.sql("SELECT id FROM task")) == 1
    assert diary.read_text().splitlines().count("step done") == 1


@ON_SQLITE
async def test_redis_is_gone(house_on_sand: House, valkey: ValkeyServer):
    async with case(house_on_sand) as here, here.calling() as (call, job):
        await job.has_written("start")
        valkey.kill()
        job.gate.touch()
        async with asyncio.timeout(SOON_SECONDS):
            assert text_of(await call) == "done"
        valkey.start()


async def test_the_database_is_gone(house_on_a_fault: tuple[House, PostgresServer]):
    house, postgres = house_on_a_fault
    async with case(house) as here, here.calling() as (call, job), here.agent.connected() as client:
        await job.has_written("start")
        postgres.stop()
        asked = here.agent.sent("tasks/get")
        late = asyncio.create_task(here.agent.tasks.attach(client, job.task_id).result())
        await wait_until(lambda: here.agent.sent("tasks/get") > asked + 1, describing="another try")
        postgres.start()
        job.gate.touch()
        assert text_of(await call) == text_of(await late) == "done"


@ON_SQLITE
async def test_a_replica_is_killed_under_an_older_connection(house: House):
    """Without tasks the SDK itself comes back to its stream; it only must not fall over the refused connection."""
    diary, gate = house.paths("vigil")
    async with case(house) as here, here.agent.connected(mode="legacy") as client:
        arguments = {"diary": str(diary), "gate": str(gate)}
        call = asyncio.create_task(client.call_tool("vigil", arguments))
        await Job("attached", diary, gate).has_written("start")
        await here.kill(*here.replicas)
        await here.replace()
        gate.touch()
        assert text_of(await call) == "done"


@ON_SQLITE
async def test_nobody_comes_back(house: House):
    """The one who waits is told so, and that the task goes on."""
    async with case(house) as here:
        here.agent = Agent(here.front.url, patience_seconds=1)
        async with here.calling() as (call, job):
            await job.has_written("start")
            await here.kill(*here.replicas)
            with pytest.raises(ServerUnreachable, match=f"Task {job.task_id} goes on") as unreachable:
                await call
            assert unreachable.value.task_id == job.task_id
            await here.replace()
            job.gate.touch()
            async with here.agent.connected() as client:
                assert text_of(await here.agent.tasks.attach(client, job.task_id).result()) == "done"
