"""An attached call that takes long becomes a task that its owner fetches by id."""

from __future__ import annotations

import pytest

from tasks_server.errors import TaskNotFound
from tasks_server.task import TaskStatus
from tests.store.record import (
    ATTACHED,
    ORIGIN,
    OWNER,
    Record,
    ask,
    claim,
    held,
)

HOUR_MS = 60 * 60 * 1000


async def test_an_attached_call_that_is_handed_out_is_a_task_like_any_other(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(origin=ATTACHED, retention_ms=60_000))
    before = await record.task(task.id)
    handed_out = await record.service.hand_out(OWNER, task.id, HOUR_MS)
    assert (handed_out.origin, handed_out.revision) == (ORIGIN, before.revision + 1)
    assert [each.id for each in (await record.service.list(OWNER, None, 10)).tasks] == [task.id]
    await ask(worker, task)
    await worker.park(held(task))
    await record.shift(task.id, "expires_at", -2 * HOUR_MS)
    await record.expiry.extend()
    assert (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
    again = await record.service.hand_out(OWNER, task.id, None)
    assert again == await record.task(task.id)
    assert (await record.row(task.id))["retention_ms"] == HOUR_MS


async def test_a_followed_call_shows_that_it_was_handed_out(record: Record):
    await record.start()
    task = await record.create(origin=ATTACHED)
    async with record.service.watch(OWNER, [task.id]) as watch:
        assert await anext(watch) == task
        handed_out = await record.service.hand_out(OWNER, task.id, None)
        assert await anext(watch) == handed_out
    assert (handed_out.ttl_ms, (await record.row(task.id))["expires_at"]) == (None, None)


async def test_only_an_unfinished_call_of_its_owner_is_handed_out(record: Record):
    ended = await record.finished(origin=ATTACHED)
    assert await record.service.hand_out(OWNER, ended.id, HOUR_MS) == ended
    task = await record.create(origin=ATTACHED)
    with pytest.raises(TaskNotFound):
        await record.service.hand_out("mallory", task.id, HOUR_MS)
    assert await record.task(task.id) == task
