"""Everything at once, at random, from two processes: no error but the ones that are meant, and no task is stuck."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from tasks_server.errors import InvalidAnswer, StaleTransition, TaskNotFound
from tasks_server.lifecycle.fence import Held
from tasks_server.lifecycle.questions import Question
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus
from tests.store.record import ASK_NAME, OWNER, RESULT, Record, accept, ask, asking, claim, finish, held

EXPECTED = (StaleTransition, InvalidAnswer, TaskNotFound)
WORKERS = ("worker-1", "worker-2")


def some_step(record: Record, ids: list[str]) -> Callable[[], Awaitable[Any]]:
    """One random thing that a client, a worker or the clock may do at any time."""
    task_id = random.choice(ids)
    worker = record.worker(random.choice(WORKERS), lease_ms=random.choice((-1000, 60_000)))
    fence = Held(task_id, random.randrange(4))
    question = Question("name", random.choice((ASK_NAME, asking("Really?"))))
    answers = {random.choice(("name", "name.2", "unknown")): random.choice((accept("Ada"), None))}
    steps: list[Callable[[], Awaitable[Any]]] = [
        lambda: worker.claim(task_id, fence.attempt),
        lambda: worker.claim(task_id, fence.attempt),
        lambda: worker.renew(ids),
        lambda: worker.report(fence, Progress(random.random()), "working"),
        lambda: worker.note(fence, [{"level": "info", "data": 1, "logger": None}]),
        lambda: worker.remember(fence, "page", 1),
        lambda: worker.ask(fence, [question]),
        lambda: worker.ask(fence, [question]),
        lambda: worker.park(fence),
        lambda: worker.release(fence),
        lambda: worker.look(fence),
        lambda: record.service.answer(OWNER, task_id, answers),
        lambda: record.service.answer(OWNER, task_id, answers),
        lambda: record.service.get(OWNER, task_id),
        lambda: record.service.get("mallory", task_id),
        record.upkeep.rescue,
        record.upkeep.dispatch,
        record.expiry.extend,
        record.expiry.expire,
    ]
    ends: list[Callable[[], Awaitable[Any]]] = [
        lambda: worker.finish(fence, OutcomeKind.RESULT, RESULT, None, None),
        lambda: record.service.cancel(OWNER, task_id),
    ]
    return random.choice(ends if random.random() < 0.03 else steps)


async def storm(record: Record, ids: list[str], seen: Counter[str]) -> None:
    for _ in range(60):
        try:
            await some_step(record, ids)()
        except EXPECTED as error:
            seen[type(error).__name__] += 1


async def brought_to_its_end(record: Record, task_id: str) -> Task:
    """What workers and a client that answers would make of the task."""
    heir = record.worker("heir")
    while True:
        task = await record.task(task_id)
        if task.is_terminal:
            return task
        if task.lease_worker is not None:
            await record.sql("UPDATE task SET lease_until = 1 WHERE id = :id", id=task_id)
            assert await record.upkeep.rescue() >= 1
        elif task.status is TaskStatus.INPUT_REQUIRED:
            assert task.input_requests, "it waits for input that nobody can give"
            answers = {question.key: accept("Ada") for question in task.input_requests}
            await record.requests.answer(OWNER, task_id, answers)
        else:
            claimed = await claim(heir, task)
            assert (await ask(heir, claimed, "last")).key == "last"
            await finish(heir, claimed)


async def test_no_task_is_stuck_after_a_storm(record: Record, another: Record):
    tasks = [await record.create(max_crashes=100) for _ in range(6)]
    ids = [task.id for task in tasks]
    seen: Counter[str] = Counter()
    await asyncio.gather(*(storm(each, ids, seen) for each in (record, another) * 3))
    assert seen["StaleTransition"] > 0
    for task_id in ids:
        before = await record.task(task_id)
        ended = await brought_to_its_end(record, task_id)
        assert ended.revision >= before.revision
        if before.is_terminal:
            assert ended == before
        keys = [row["key"] for row in await record.rows("input_request", task_id)]
        assert len(keys) == len(set(keys))
        assert not await record.worker("heir").park(held(ended))
