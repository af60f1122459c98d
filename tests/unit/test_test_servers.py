"""The servers that the other suites stand on."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.processes import ProcessStarter, all_gone
from tests.support.redis_keys import connect, keys_without_expiry
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_gets_an_empty_redis(redis_url: str, turn: str):
    with connect(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left-behind", turn, ex=60)


async def test_a_key_without_expiry_is_found(redis_url: str):
    with connect(redis_url) as client:
        client.set("for-ever", "1")
        client.set("for-a-while", "1", ex=60)
        client.zadd("tasks:queue:default", {"job": 1})
        assert keys_without_expiry(redis_url) == ["for-ever"]
        client.delete("for-ever")


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_gets_a_database_of_its_own(empty_database_url: str, turn: str):
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE visited_{turn} (id INTEGER)"))
        query = (
            "SELECT name FROM sqlite_master WHERE name LIKE 'visited%'"
            if engine.dialect.name == "sqlite"
            else "SELECT tablename FROM pg_tables WHERE tablename LIKE 'visited%'"
        )
        assert (await connection.execute(text(query))).scalars().all() == [f"visited_{turn}"]
    await engine.dispose()


async def test_a_valkey_can_be_killed_and_started_again(valkey: ValkeyServer):
    first = valkey.pid
    valkey.kill()
    valkey.start()
    assert valkey.pid != first
    with connect(valkey.url) as client:
        assert client.ping()


async def test_a_condition_that_never_comes_is_named():
    with pytest.raises(
        AssertionError, match=r"never came within 0\.05 s: pigs to fly \(last answer: False\)"
    ):
        await wait_until(lambda: False, 0.05, describing="pigs to fly")


async def test_started_processes_are_ended_with_their_children(start: ProcessStarter):
    shell = start.start("sh", "-c", "sleep 300 & echo child $!; wait")
    child = int((await shell.line(r"child (\d+)")).group(1))
    start.destroy()
    await all_gone([shell.pid, child])


async def test_a_migrated_database_is_fresh(database_url: str):
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM task")) == 0
    await engine.dispose()
