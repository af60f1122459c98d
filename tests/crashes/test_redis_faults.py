"""Redis empties itself, dies, hangs, is full, is replaced, or is cut off: tasks run, polls answer, followers hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crashes.house import ON_POSTGRESQL, ON_SQLITE, House
from tests.crashes.proxy import RationingProxy
from tests.crashes.rush import rush
from tests.crashes.session_client import Message, SessionClient
from tests.support.redis_keys import connect, flush
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until


async def test_redis_is_emptied_in_the_middle_of_everything(house: House):
    async with rush(house) as tasks:
        flush(house.redis_url)
        await tasks.more()
        await tasks.complete(tasks.running)
        flush(house.redis_url)
        await tasks.more()
        await tasks.balance()


@ON_POSTGRESQL
async def test_redis_is_killed_and_comes_back_empty(house_on_sand: House, valkey: ValkeyServer):
    async with rush(house_on_sand) as tasks:
        valkey.kill()
        await tasks.client.misses("redis")
        await tasks.more()
        await tasks.complete(tasks.running)
        valkey.start()
        await tasks.more()
        await tasks.balance()


@ON_SQLITE
async def test_redis_hangs(house_on_sand: House, valkey: ValkeyServer):
    async with rush(house_on_sand) as tasks:
        valkey.pause()
        try:
            await tasks.more()
            await tasks.complete(tasks.running)
        finally:
            valkey.resume()
        await tasks.balance()


@pytest.mark.slow
@ON_POSTGRESQL
async def test_redis_has_no_memory_left(house_on_sand: House, valkey: ValkeyServer):
    redis = connect(valkey.url)
    async with rush(house_on_sand) as tasks:
        redis.config_set("maxmemory", 1)
        await tasks.more()
        await tasks.complete(tasks.running)
        redis.config_set("maxmemory", 0)
        await tasks.balance()


@pytest.mark.slow
@ON_SQLITE
async def test_redis_refuses_writes_after_a_failover(house_on_sand: House, valkey: ValkeyServer):
    redis = connect(valkey.url)
    async with rush(house_on_sand) as tasks:
        redis.replicaof("127.0.0.1", "1")
        await tasks.more()
        await tasks.complete(tasks.running)
        redis.replicaof("NO", "ONE")
        await tasks.balance()


@pytest.mark.slow
@ON_SQLITE
async def test_connections_are_cut_in_the_middle_of_a_command(
    house_on_sand: House, valkey: ValkeyServer, tmp_path: Path
):
    """At ever other bytes of submissions, of picks (MULTI) and of everything else that a worker says."""
    proxy = RationingProxy(house_on_sand.directory / "proxy.sock", valkey.socket)
    async with proxy.running(), rush(house_on_sand, redis_url=proxy.url) as tasks:
        for ration in range(1, 400, 57):
            proxy.ration(ration)
            tasks.waiting += await tasks.submit(1)
        await tasks.complete(tasks.running)
        assert proxy.cuts > 7
        proxy.ration(None)
        await tasks.balance()


async def test_a_listener_whose_server_was_cut_off_hears_what_nobody_has_told(
    house_on_sand: House, valkey: ValkeyServer
):
    """Another server hands a task out, and its progress is in the record before the listener's knows of it."""
    house = house_on_sand
    proxy = RationingProxy(house.directory / "proxy.sock", valkey.socket)
    async with proxy.running():
        _, near = await house.serve()
        _, far = await house.serve(redis_url=proxy.url)
        await house.work(house.tool("saga", "saga"))
        await near.offers("saga")
        await far.offers("saga")
        client = SessionClient(house.http)
        await client.open(near.url)
        async with client.listening(far.url) as listening:
            await listening.primed()
            proxy.ration(0)
            await house.submit(near, "saga")  # whose signals make the other server speak to Redis
            await wait_until(lambda: proxy.cuts, describing="the server is cut off")
            diary, gate = house.paths("saga")
            call = client.calling("saga", diary=str(diary), gate=str(gate))["params"]
            created = await client.request(near.url, "tools/call", {**call, "task": {}})
            task_id = created["task"]["taskId"]

            async def has_told() -> bool:
                return (await house.record.row(task_id))["progress"] == 1

            await wait_until(has_told, 20, describing="progress in the record")
            proxy.ration(None)
            assert_begun(await listening.until("notifications/progress"))


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_caller_whose_server_was_cut_off_hears_what_the_record_says(
    house_on_sand: House, valkey: ValkeyServer, revision: str
):
    house = house_on_sand
    proxy = RationingProxy(house.directory / "proxy.sock", valkey.socket)
    async with proxy.running():
        _, far = await house.serve(redis_url=proxy.url)
        await house.work(house.tool("saga", "saga"))
        await far.offers("saga")
        session = SessionClient(house.http)
        await session.open(far.url)
        proxy.ration(0)
        diary, gate = house.paths("saga")
        arguments = {"diary": str(diary), "gate": str(gate)}
        if revision == "2025-11-25":
            calling = session.sent(far.url, session.calling("saga", **arguments))
        else:
            calling = far.attached("saga", **arguments)
        async with calling as told:
            assert_begun(await told.until("notifications/progress"))
            gate.touch()
            assert (await told.until("response"))["result"]["content"][0]["text"] == "done"


def assert_begun(progress: Message) -> None:
    """As the tool has said it, all of it."""
    params = progress["params"]
    assert (params["progress"], params["total"], params["message"]) == (1, 3, "begun")
