"""What a worker tells those who follow a task while it runs, by what they are able to hear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks_server.signals import TaskLogged, TaskNoted, TaskProgressed
from tasks_server.task import Door, Origin, Task, TaskEvent
from tests.races.working import working
from tests.store.record import OWNER, Record, new_task
from workers import TaskContext, tool

LEGACY = Origin(Door.HANDLE, "2025-11-25", {})
MODERN = Origin(Door.HANDLE, "2026-07-28", {}, log_level="info")
LINE = {"level": "info", "data": "page 1", "logger": None}


@tool(description="Says how far it is.")
async def convert(ctx: TaskContext) -> str:
    await ctx.progress(1, 2)
    await ctx.log("info", "page 1")
    return "done"


async def heard(record: Record, origin: Origin) -> tuple[list[Any], list[TaskEvent]]:
    """The live signals of a task, and its events at the time when each `TaskNoted` came and when it had ended."""
    signals: list[Any] = []
    events: list[TaskEvent] = []
    await record.start()
    async with working(record, convert):
        new = new_task(name="convert", arguments="{}", origin=origin)
        async with record.service.submit_and_watch(new) as watch:
            async for signal in watch:
                if not isinstance(signal, Task):
                    signals.append(signal)
                if isinstance(signal, TaskNoted) or (isinstance(signal, Task) and signal.is_terminal):
                    events += await record.service.events_after(OWNER, new.id, events[-1].id if events else 0)
    return signals, events


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize("token", [None, 0, "token"])
@pytest.mark.parametrize("origin", [LEGACY, MODERN], ids=["2025-11-25", "2026-07-28"])
async def test_progress_is_live_for_who_waits_and_who_has_a_token(
    record: Record, origin: Origin, door: Door, token: str | int | None
):
    signals, _ = await heard(record, replace(origin, door=door, progress_token=token))
    progress = [(signal.progress, signal.total) for signal in signals if isinstance(signal, TaskProgressed)]
    assert progress == ([] if door is Door.HANDLE and token is None else [(1.0, 2.0)])


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize("log_level", [None, "debug"])
async def test_after_a_handshake_log_lines_are_told_from_the_record(
    record: Record, door: Door, log_level: str | None
):
    signals, events = await heard(record, replace(LEGACY, door=door, log_level=log_level))
    kinds: set[type[Any]] = {type(signal) for signal in signals}
    assert TaskNoted in kinds
    assert TaskLogged not in kinds
    assert [event.body for event in events] == [LINE]


async def test_log_lines_of_the_newest_revision_are_live(record: Record):
    signals, _ = await heard(record, replace(MODERN, door=Door.ATTACHED))
    lines = [signal for signal in signals if isinstance(signal, TaskLogged)]
    assert [(line.level, line.data, line.logger) for line in lines] == [("info", "page 1", None)]
    assert not [signal for signal in signals if isinstance(signal, TaskNoted)]
