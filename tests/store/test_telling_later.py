"""What was said of a task beside its status, for who comes back."""

from __future__ import annotations

import pytest

from tasks_server.task import Progress, TaskEvent
from tests.store.record import (
    OWNER,
    Record,
    accept,
    ask,
    claim,
    held,
)

FAR = 2**80


async def test_what_is_said_of_a_task_is_told_in_order_from_anywhere_on(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    lines = [{"level": "info", "data": {"page": number}, "logger": None} for number in range(3)]
    await worker.note(held(task), lines[:2])
    await worker.report(held(task), Progress(1), "one")
    await ask(worker, task)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    await worker.note(held(task), lines[2:])
    told = await record.service.events_after(OWNER, task.id, 0)
    assert [(event.kind, event.body) for event in told] == [
        ("log", lines[0]),
        ("log", lines[1]),
        ("question", {"key": "name"}),
        ("log", lines[2]),
    ]
    assert [event.id for event in told] == sorted({event.id for event in told})
    for place, event in enumerate(told):
        assert await record.service.events_after(OWNER, task.id, event.id) == told[place + 1 :]
    assert await record.service.events_after(OWNER, task.id, 0, limit=2) == told[:2]


@pytest.mark.parametrize(
    ("owner", "task_id", "after"),
    [("mallory", None, 0), (OWNER, "no such task", 0), (OWNER, "\0", 0), (OWNER, None, FAR)],
)
async def test_nothing_is_told_where_there_is_nothing(
    record: Record, owner: str, task_id: str | None, after: int
):
    task = await claim(record.worker(), await record.create())
    await ask(record.worker(), task)
    assert await record.service.events_after(owner, task_id or task.id, after) == []
    (event,) = await record.service.events_after(OWNER, task.id, -FAR)
    assert event == TaskEvent(event.id, "question", {"key": "name"})
