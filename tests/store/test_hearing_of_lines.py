"""Followers hear when log lines are in the record, and whose turn it is to tell of a task."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tasks_server.signals import Resync, TaskNoted, VoiceTaken
from tasks_server.task import Door, Origin, Task
from tasks_server.watchers import Watchers
from tests.store.interleaving import gate_before_commit
from tests.store.record import (
    ATTACHED,
    OWNER,
    Record,
    claim,
    collect,
    finish,
    held,
)
from tests.support.waiting import wait_until


@pytest.fixture
async def server(record: Record) -> Record:
    """The record with its bus and watchers running."""
    await record.start()
    return record


NOTED_ORIGIN = Origin(Door.HANDLE, "2025-11-25", {})
LINE = {"level": "info", "data": "x", "logger": None}


async def test_who_follows_hears_of_lines_once_they_are_committed(server: Record, another: Record):
    worker = another.worker()
    task = await claim(worker, await server.create(origin=NOTED_ORIGIN))
    async with server.service.watch(OWNER, [task.id], signals=True) as watch:
        assert await anext(watch) == task
        with gate_before_commit(another) as gate:
            noting = asyncio.create_task(worker.note(held(task), [LINE], announce=True))
            await gate.reached.wait()
            assert not watch._signals
            gate.open()
            await noting
        (event,) = await server.service.events_after(OWNER, task.id, 0)
        assert await anext(watch) == TaskNoted(task.id, event.id - 1, event.id)
        assert event.body == LINE
        await worker.note(held(task), [LINE])
        await another.bus.publish(VoiceTaken(task.id, "stream"))
        assert await anext(watch) == VoiceTaken(task.id, "stream")


async def test_a_slow_follower_hears_of_lines_once_between_others(server: Record):
    """Who spoke when they came is told apart."""
    task = await server.create(origin=NOTED_ORIGIN)
    voice = VoiceTaken(task.id, "")
    async with server.service.watch(OWNER, [task.id], signals=True) as watch:
        for number in range(1, 4):
            await server.announcer.noted(task.id, [number])
        await server.bus.publish(voice)
        for number in range(4, 6):
            await server.announcer.noted(task.id, [number])
        await server.bus.publish(voice)
        await wait_until(lambda: watch._signals.count(voice) == 2, describing="all have arrived")
        assert await collect(watch, 5) == [
            task,
            TaskNoted(task.id, 0, 3),
            voice,
            TaskNoted(task.id, 3, 5),
            voice,
        ]


LOOK_AGAIN: dict[str, Callable[[Watchers], None]] = {
    "after an outage of the bus": lambda watchers: watchers._take(Resync()),
    "now and then": lambda watchers: watchers._look_for_lines(),
}


@pytest.mark.parametrize("when", LOOK_AGAIN)
@pytest.mark.parametrize("origin", [NOTED_ORIGIN, ATTACHED], ids=["2025-11-25", "2026-07-28"])
async def test_signals_of_lines_that_were_lost_are_made_good(server: Record, origin: Origin, when: str):
    """Only where lines are told from the record."""
    task = await server.create(origin=origin)
    async with (
        server.service.watch(OWNER, [task.id], signals=True) as watch,
        server.service.watch(OWNER, [task.id]) as deaf,
    ):
        assert await anext(watch) == task
        LOOK_AGAIN[when](server.watchers)
        assert list(watch._signals) == ([TaskNoted(task.id)] if origin is NOTED_ORIGIN else [])
        assert not deaf._signals


async def test_nothing_is_said_of_a_task_that_has_ended(server: Record):
    task = await server.create(origin=NOTED_ORIGIN)
    async with server.service.watch(OWNER, [task.id], signals=True) as watch:
        await finish(server.worker(), await claim(server.worker(), task))
        seen = [event async for event in watch]
        assert isinstance(seen[-1], Task)
        assert seen[-1].is_terminal
        server.watchers._look_for_lines()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
