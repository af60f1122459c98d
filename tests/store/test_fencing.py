"""Fences: whoever has lost a task, or never had it, changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.fence import Held
from tasks_server.lifecycle.questions import Question
from tasks_server.task import OutcomeKind, Progress, Task
from tests.store.record import (
    ASK_NAME,
    OWNER,
    RESULT,
    Record,
    ask,
    claim,
    finish,
    held,
    rpc_error,
)

ARTIFACT = {"name": "a.md", "mime_type": "text/markdown", "size": 1, "sha256": "0", "location": "x/y"}
TABLES = ("task_event", "input_request", "checkpoint", "artifact")


async def everything(record: Record, task_id: str) -> dict[str, Any]:
    """The whole record of one task."""
    hanging = {table: await record.rows(table, task_id) for table in TABLES}
    return {"task": await record.row(task_id), **hanging}


async def test_what_is_not_there_to_be_claimed_is_not_claimed(record: Record):
    worker = record.worker()
    waiting, cancelled, finished = await record.create(), await record.create(), await record.finished()
    await record.requests.cancel(OWNER, cancelled.id)
    parked = await claim(worker, await record.create())
    await ask(worker, parked)
    await worker.park(held(parked))
    before = [await everything(record, task.id) for task in (waiting, cancelled, finished, parked)]
    assert await worker.claim(waiting.id, 1) is None
    assert await worker.claim(waiting.id, -1) is None
    assert await worker.claim("no such task", 0) is None
    assert await worker.claim(cancelled.id, 0) is None
    assert await worker.claim(finished.id, 0) is None
    for attempt in (0, 1):
        assert await worker.claim(parked.id, attempt) is None
    assert [await everything(record, task.id) for task in (waiting, cancelled, finished, parked)] == before


async def rescued(record: Record) -> tuple[Claims, Task]:
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await record.upkeep.rescue()
    return dead, task


async def rescued_and_claimed(record: Record) -> tuple[Claims, Task]:
    dead, task = await rescued(record)
    await claim(record.worker("heir"), await record.task(task.id))
    return dead, task


async def claimed_again_by_itself(record: Record) -> tuple[Claims, Task]:
    dead, task = await rescued(record)
    await claim(record.worker("dead"), await record.task(task.id))
    return dead, task


async def released(record: Record) -> tuple[Claims, Task]:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await worker.release(held(task))
    return worker, task


async def parked(record: Record) -> tuple[Claims, Task]:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    assert await worker.park(held(task))
    return worker, task


async def finished(record: Record) -> tuple[Claims, Task]:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await finish(worker, task)
    return worker, task


async def cancelled_by_rescue(record: Record) -> tuple[Claims, Task]:
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await record.requests.cancel(OWNER, task.id)
    await record.upkeep.rescue()
    return dead, task


async def held_by_somebody_else(record: Record) -> tuple[Claims, Task]:
    task = await claim(record.worker("holder"), await record.create())
    return record.worker("thief"), task


LOSSES = [
    rescued,
    rescued_and_claimed,
    claimed_again_by_itself,
    released,
    parked,
    finished,
    cancelled_by_rescue,
    held_by_somebody_else,
]
Write = Callable[[Claims, Held], Awaitable[Any]]
WRITES: dict[str, Write] = {
    "report": lambda worker, fence: worker.report(fence, Progress(1.0), "still here"),
    "note": lambda worker, fence: worker.note(fence, [{"level": "info", "data": "x", "logger": None}]),
    "ask": lambda worker, fence: worker.ask(fence, [Question("again", ASK_NAME)]),
    "remember": lambda worker, fence: worker.remember(fence, "page", 1),
    "store": lambda worker, fence: worker.record_artifact(fence, ARTIFACT),
    "complete": lambda worker, fence: worker.finish(fence, OutcomeKind.RESULT, RESULT, None, None),
    "fail": lambda worker, fence: worker.finish(fence, OutcomeKind.RPC_ERROR, rpc_error("x"), None, None),
    "cancel": lambda worker, fence: worker.finish(fence, OutcomeKind.CANCELLED, None, None, None),
    "release": lambda worker, fence: worker.release(fence),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_whoever_has_lost_a_task_changes_nothing(
    record: Record, loss: Callable[[Record], Awaitable[tuple[Claims, Task]]]
):
    worker, task = await loss(record)
    before = await everything(record, task.id)
    for name, write in WRITES.items():
        with pytest.raises(StaleTransition, match=task.id):
            await write(worker, held(task))
        assert await everything(record, task.id) == before, name
    assert not await worker.park(held(task))
    assert await worker.look(held(task)) is None
    assert held(task) not in {standing.held for standing in await worker.renew([task.id])}
    after = await everything(record, task.id)
    for row in (before["task"], after["task"]):
        row.pop("lease_until")  # renewing what it holds now is its right
    assert after == before
