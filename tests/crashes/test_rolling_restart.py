"""Everything is replaced while clients go on: nobody notices more than a request that has to be sent once more."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2
import pytest

from tests.crashes.client import Client
from tests.crashes.house import ON_POSTGRESQL, ON_SQLITE, House, Job
from tests.support.processes import Started
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

T = TypeVar("T")
CLIENTS = 4
PROMPT_SECONDS = 5.0


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> str:
    """One that these tests may restart."""
    return valkey.url


class Load:
    """Clients that submit, listen to the end, and look at the result, on any server that is there."""

    def __init__(self, house: House, tool: str) -> None:
        self.servers: list[tuple[Started, Client]] = []
        self.ended: list[str] = []
        self.sent_again: list[str] = []
        self._house = house
        self._tool = tool
        self._stopping = asyncio.Event()
        self._choice = random.Random(3)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client())

    def stop(self) -> None:
        self._stopping.set()

    async def more(self) -> None:
        """Wait until every client has seen another task through."""
        goal = len(self.ended) + 2 * CLIENTS
        await wait_until(lambda: len(self.ended) >= goal, 30, describing="more tasks come to their end")

    async def _client(self) -> None:
        while not self._stopping.is_set():
            job = await self._request(lambda client: self._house.submit(client, self._tool))
            await self._see_through(job.task_id)

    async def _see_through(self, task_id: str) -> None:
        ends: dict[str, str] = {}
        while task_id not in ends:  # a server that goes ends its streams; others have the rest
            ends |= await self._request(lambda client: client.told_of_end(task_id))
        task = await self._request(lambda client: client.task(task_id))
        assert (ends[task_id], task["status"]) == ("completed", "completed"), task
        self.ended.append(task_id)

    async def _request(self, send: Callable[[Client], Awaitable[T]]) -> T:
        """Send it, and once more, to another server, if that fails."""
        first = self._choice.choice(self.servers)[1]
        try:
            return await send(first)
        except (httpx2.HTTPError, AssertionError) as error:
            self.sent_again.append(repr(error))
        others = [client for _, client in self.servers if client is not first]
        return await send(self._choice.choice(others))


async def test_a_rolling_restart_of_everything_under_load(house: House, valkey: ValkeyServer):
    tool = house.tool("labour", "labour")
    load = Load(house, "labour")
    workers = [await house.work(tool, shutdown_grace_seconds="0.2") for _ in range(2)]
    load.servers = [await house.serve() for _ in range(2)]
    for _, client in load.servers:
        await client.offers("labour")
    running = asyncio.create_task(load.run())
    await load.more()

    for number in range(2):
        workers.append(await house.work(tool, shutdown_grace_seconds="0.2"))
        assert await workers[number].stop() == 0
        await load.more()
    for _ in range(2):
        load.servers.append(await house.serve())
        await load.servers[-1][1].offers("labour")
        assert await load.servers[0][0].stop() == 0, "while clients still send to it"
        del load.servers[0]
        await load.more()
    valkey.kill()
    valkey.start()
    await load.more()

    load.stop()
    await asyncio.wait_for(running, 60)
    rows = await house.record.sql("SELECT status, retries_used, crashes FROM task")
    assert {tuple(row) for row in rows} == {("completed", 0, 0)}, load.sent_again
    assert len(rows) >= len(load.ended)


async def test_what_a_leaving_worker_hands_back_is_started_by_an_idle_one_at_once(house: House):
    """Neither a lease nor a poll has to pass, and nothing is charged: coroutines, open questions."""
    tools = [house.tool("sentry", "sentry"), house.tool("inquiry", "inquiry")]
    _, client = await house.serve()
    leaving = await house.work(*tools)
    await client.offers("sentry", "inquiry")
    watched, parked = jobs = [await house.submit(client, tool.stem) for tool in tools]
    await watched.began()
    await house.parked(parked)
    await house.work(*tools)
    asked = asyncio.get_running_loop().time()
    leaving.send(signal.SIGTERM)
    await runs_again(watched)
    assert asyncio.get_running_loop().time() - asked < PROMPT_SECONDS, "much less than a lease"
    assert await leaving.ended() == 0
    await client.accept(parked.task_id)
    for job in jobs:
        job.gate.touch()
        await client.completed(job.task_id)
        assert (await house.story(job)).crashes == 0


@ON_POSTGRESQL
@pytest.mark.slow
async def test_the_deaf_process_of_a_leaving_worker_is_killed_and_its_task_handed_back(house: House):
    """After the grace that a tool has to leave, which is long: on one database, it is not about them."""
    tool = house.tool("toil", "toil", in_process=True)
    _, client = await house.serve()
    leaving = await house.work(tool)
    await client.offers("toil")
    job = await house.submit(client, "toil")
    await job.began()
    await house.work(tool)
    leaving.send(signal.SIGTERM)
    await runs_again(job)
    assert await leaving.ended() == 0
    job.gate.touch()
    await client.completed(job.task_id)
    assert (await house.story(job)).crashes == 0


async def runs_again(job: Job) -> None:
    def twice() -> bool:
        return sum(line.startswith(("start", "process")) for line in job.diary) == 2

    await wait_until(twice, 30, describing=f"the second run of {job.task_id}")


async def says(client: Client, part: str, word: str) -> None:
    """Over HTTP, from a server whose surroundings come and go."""

    async def look() -> bool:
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"{client.url}/readyz")
        return answer.status_code == 200 and answer.json()["states"][part] == word

    await wait_until(look, 30, describing=f"{part} is {word}", every=0.1)


@ON_SQLITE
async def test_readiness_follows_redis(house: House, valkey: ValkeyServer):
    tool = house.tool("sentry", "sentry")
    _, client = await house.serve()
    await says(client, "workers", "none")
    await house.work(tool)
    await says(client, "workers", "ok")
    valkey.kill()
    await says(client, "redis", "gone")
    valkey.start()
    await says(client, "redis", "ok")


@ON_SQLITE
@pytest.mark.slow
async def test_readiness_follows_workers(house: House, valkey: ValkeyServer):
    """How they stand is at most some seconds old; each of these words may take those."""
    tool = house.tool("sentry", "sentry")
    _, client = await house.serve(lease_seconds="1")
    worker = await house.work(tool, lease_seconds="1")
    await says(client, "workers", "ok")
    worker.send(signal.SIGSTOP)
    await says(client, "workers", "none")
    worker.send(signal.SIGCONT)
    await says(client, "workers", "ok")
    job = await house.submit(client, "sentry")
    await job.began()
    valkey.kill()
    waiting = await house.submit(client, "sentry")
    assert "Redis" in (await client.task(waiting.task_id))["statusMessage"]
    await says(client, "workers", "not_claiming")
    valkey.start()
    await says(client, "workers", "ok")
    for each in (job, waiting):
        each.gate.touch()
        await client.completed(each.task_id)
