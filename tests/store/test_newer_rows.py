"""A row that a newer version has written, seen by this one in the course of a rolling upgrade."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks_server.errors import RpcError, TaskNotFound, TaskUnreadable
from tasks_server.task import Task, TaskStatus
from tests.store.record import OWNER, Record, claim, finish
from tests.support.waiting import wait_until


async def newer(record: Record, task: Task) -> None:
    """Give the task a method that only a later version knows."""
    await record.sql("UPDATE task SET method = 'tools/dream' WHERE id = :id", id=task.id)


async def test_its_owner_is_told_and_nobody_else(record: Record):
    task = await record.create()
    await newer(record, task)
    with pytest.raises(RpcError, match="newer version"):
        await record.service.get(OWNER, task.id)
    with pytest.raises(TaskNotFound):
        await record.service.get("somebody else", task.id)


async def test_reads_that_arrive_together_do_not_suffer(record: Record):
    strange, plain = await record.create(), await record.create()
    await newer(record, strange)
    found: list[Any] = await asyncio.gather(
        *(record.reader.find(task.id) for task in (plain, strange, plain)), return_exceptions=True
    )
    assert found[0] == found[2] == plain
    assert isinstance(found[1], TaskUnreadable)


async def test_followers_of_other_tasks_hear_on(record: Record):
    """And who follows the strange one hears its end once somebody has written one that can be read."""
    await record.start()
    strange, plain = await record.create(), await record.create()
    worker = record.worker()
    async with record.service.watch(OWNER, [strange.id, plain.id]) as followed:
        watch: Any = followed  # no live signals were asked for
        assert {(await anext(watch)).id, (await anext(watch)).id} == {strange.id, plain.id}
        held = await claim(worker, strange)
        assert (await anext(watch)).id == strange.id
        await newer(record, strange)
        await record.announcer.changed(strange.id)
        await finish(worker, await claim(worker, plain))
        seen = await anext(watch)
        while seen.id != plain.id or not seen.is_terminal:
            seen = await anext(watch)
        await record.sql("UPDATE task SET method = 'tools/call' WHERE id = :id", id=strange.id)
        await finish(worker, held)
        assert (await anext(watch)).status is TaskStatus.COMPLETED


async def test_it_is_neither_claimed_nor_in_the_way_of_rescue(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    strange, plain = await claim(dead, await record.create()), await claim(dead, await record.create())
    waiting = await record.create()
    await newer(record, strange)
    await newer(record, waiting)
    await record.upkeep.rescue()
    assert (await record.task(plain.id)).attempt == 1
    assert (await record.row(strange.id))["attempt"] == 0
    with pytest.raises(TaskUnreadable):
        await record.worker().claim(waiting.id, 0)
    assert (await record.row(waiting.id))["lease_worker"] is None


async def test_the_log_says_it_once(record: Record, caplog: pytest.LogCaptureFixture):
    task = await record.create()
    await newer(record, task)
    for _ in range(3):
        await record.reader.look_up([task.id])
    await wait_until(lambda: caplog.records, describing="a line")
    assert sum(task.id in line.message for line in caplog.records) == 1
