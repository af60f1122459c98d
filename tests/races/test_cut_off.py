"""A worker that is cut off from its database, but not from Redis."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tasks_server.task import TaskStatus
from tests.races.held import HeldTool
from tests.races.roads import Roads
from tests.races.working import settled, working
from tests.support.waiting import wait_until
from workers import tool
from workers.session import Stop


async def test_it_picks_nothing_until_its_database_is_back(roads: Roads, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "workers")
    proxy, through, direct = roads

    @tool(description="Is quick.")
    async def work() -> str:
        return "done"

    def said(text: str) -> bool:
        return any(text in line.message for line in caplog.records)

    async with working(through, work, concurrency=1):
        first = await direct.create(name="work", arguments="{}")
        await settled(direct, first.id)
        proxy.closed = True
        tasks = [await direct.create(name="work", arguments="{}")]
        await wait_until(lambda: said("no work is picked"), 20, describing="the worker notices")
        tasks += [await direct.create(name="work", arguments="{}") for _ in range(3)]

        async def left_to_others() -> bool:
            redis: Any = through.redis  # which leaves this command partly untyped
            return not await redis.keys("arq:in-progress:*")

        await wait_until(left_to_others, describing="even what it had picked is there for others")
        mine = direct.worker("another")
        taken = await mine.claim(tasks[0].id, 0)
        assert taken is not None
        assert len(await direct.announced()) >= 3
        await direct.sql("UPDATE task SET lease_until = lease_until + 600000 WHERE id = :id", id=taken.id)

        proxy.closed = False
        for task in tasks[1:]:
            ended = await settled(direct, task.id, 30)
            assert (ended.status, ended.attempt) == (TaskStatus.COMPLETED, 0)
        assert said("work is picked again")
        assert (await direct.task(taken.id)).lease_worker == "another"


async def test_what_it_has_done_meanwhile_counts_if_nobody_took_the_task(
    roads: Roads,
):
    """It has been silent for a lease and more, but the fence knows better whether the task was lost."""
    proxy, through, direct = roads
    held = HeldTool()
    async with working(through, held.work, lease_seconds=1.0) as crew:
        task = await direct.create(name="work", arguments="{}")
        await held.started.wait()
        session = crew.sessions[task.id]
        proxy.closed = True
        held.may_end.set()
        await wait_until(lambda: session.stopped is Stop.LOST, 20, describing="a lease has passed")
        # Its own maintenance, too, would take the task from it as soon as the database is back.
        await direct.sql("UPDATE task SET lease_until = lease_until + 600000 WHERE id = :id", id=task.id)
        proxy.closed = False
        ended = await settled(direct, task.id, 20)
    assert (ended.status, ended.attempt) == (TaskStatus.COMPLETED, 0)
