"""Whose turn it is in a queue: owners take turns, whatever each has announced."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from tasks_server.queue import QUEUE_PREFIX, SHARES_PREFIX, TURN, Dispatch, TaskQueue, job_id
from tasks_server.redis_client import connect
from tests.support.redis_keys import keys_without_expiry

QUEUE = "default"


class Line:
    """A queue in Redis, seen from both ends."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self._queue = TaskQueue(redis)
        self._numbers: dict[str, int] = {}

    async def announce(self, owner: str, number: int = 1) -> None:
        """Tasks of this owner, numbered from 1: `a1`, `a2`, …"""
        waiting: list[Dispatch] = []
        for _ in range(number):
            self._numbers[owner] = self._numbers.get(owner, 0) + 1
            waiting.append(Dispatch(f"{owner}{self._numbers[owner]}", 0, QUEUE, owner))
        assert await self._queue.enqueue(waiting)

    async def start(self) -> str:
        """What a worker would start next; it leaves the queue, as at a claim."""
        ((job, _),) = await self.redis.zrange(QUEUE_PREFIX + QUEUE, 0, 0, withscores=True)
        task_id = job.decode().partition(":")[0]
        await self._queue.forget(QUEUE, job_id(task_id, 0))
        return task_id

    async def starts(self, number: int) -> list[str]:
        return [await self.start() for _ in range(number)]


@pytest.fixture
async def line(redis_url: str) -> AsyncGenerator[Line]:
    redis = connect(redis_url)
    yield Line(redis)
    await redis.aclose()


async def test_a_newcomer_is_next_whatever_is_in_front_of_him(line: Line):
    await line.announce("a", 500)
    assert await line.start() == "a1"
    await line.announce("b")
    assert await line.starts(2) == ["b1", "a2"]


async def test_owners_take_turns(line: Line):
    for owner in "abc":
        await line.announce(owner, 4)
    started = await line.starts(12)
    for turn in range(4):
        assert sorted(started[3 * turn : 3 * turn + 3]) == [f"{owner}{turn + 1}" for owner in "abc"]


async def test_one_owner_is_served_in_order(line: Line):
    await line.announce("a", 3)
    await line.announce("a", 3)
    assert await line.starts(6) == [f"a{number}" for number in range(1, 7)]


async def test_newcomers_are_served_in_the_order_they_came(line: Line):
    await line.announce("a", 5)
    await line.start()
    for newcomer in "bcd":
        await line.announce(newcomer)
    assert await line.starts(4) == ["b1", "c1", "d1", "a2"]


async def test_an_endless_stream_of_newcomers_does_not_hold_up_a_task_for_ever(line: Line):
    await line.announce("a", 2)
    await line.start()
    started: list[str] = []
    while "a2" not in started:
        await line.announce(f"newcomer-{len(started)}-")
        started.append(await line.start())
        assert len(started) <= TURN + 1


async def test_nobody_saves_turns_up(line: Line):
    """Who was away gets no more than his turn when he comes back."""
    await line.announce("b")
    await line.start()
    await line.announce("a", 100)
    await line.starts(50)
    await line.announce("b", 3)
    assert await line.starts(6) == ["b2", "a51", "b3", "a52", "b4", "a53"]


async def test_who_has_been_served_is_not_set_back_by_it(line: Line):
    """What somebody had while nobody else wanted anything does not count against him."""
    await line.announce("a", 100)
    await line.starts(100)
    await line.announce("b", 3)
    await line.announce("a", 3)
    started = await line.starts(6)
    assert started.index("a101") < started.index("b3")


async def test_announcing_again_costs_no_turn(line: Line):
    await line.announce("a", 2)
    before = await line.redis.zrange(QUEUE_PREFIX + QUEUE, 0, -1, withscores=True)
    line._numbers.clear()  # pyright: ignore[reportPrivateUsage]
    await line.announce("a", 2)
    assert await line.redis.zrange(QUEUE_PREFIX + QUEUE, 0, -1, withscores=True) == before


async def test_every_job_is_due_whatever_the_clocks_say(line: Line, monkeypatch: pytest.MonkeyPatch):
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 3600)
    await line.announce("a", 500)
    highest = await line.redis.zrange(QUEUE_PREFIX + QUEUE, -1, -1, withscores=True)
    assert 0 < highest[0][1] < 1_000_000


async def test_shares_are_forgotten_when_they_do_not_matter_any_more(line: Line, redis_url: str):
    for number in range(100):
        await line.announce(f"newcomer-{number}-")
        await line.start()
    assert await line.redis.zcard(SHARES_PREFIX + QUEUE) < 3 * TURN
    assert keys_without_expiry(redis_url) == []


async def test_a_redis_that_has_forgotten_the_script_is_told_again(line: Line):
    await line.announce("a")
    await line.redis.script_flush()
    with pytest.raises(NoScriptError):
        await line.redis.evalsha(line._queue._announce.sha, 0)  # pyright: ignore[reportPrivateUsage]
    await line.announce("b")
    assert sorted(await line.starts(2)) == ["a1", "b1"]
