"""Deadlines of tasks that no worker holds: they end in time, with a sentence that says which limit and where it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks_server.lifecycle import deadlines
from tasks_server.lifecycle.limits import limit_of_run
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus
from tests.store.counting import traffic
from tests.store.record import ORIGIN, OWNER, Record, accept, ask, claim, finish, held

HOUR_MS = 60 * 60 * 1000
LONG_AGO_MS = -48 * HOUR_MS


async def age(record: Record, task_id: str, by_ms: int = LONG_AGO_MS) -> None:
    """Let the task have been submitted earlier than it was."""
    for column in ("created_at", "deadline_at", "start_by"):
        await record.shift(task_id, column, by_ms)


async def failed(record: Record, task_id: str) -> str:
    """What is said of a task that must have failed, to whoever reads its status or its outcome."""
    task = await record.task(task_id)
    assert (task.status, task.outcome_kind) == (TaskStatus.FAILED, OutcomeKind.RPC_ERROR)
    assert task.outcome is not None
    assert json.loads(task.outcome)["message"] == task.status_message
    return task.status_message or ""


async def test_a_task_that_nobody_started_in_time_fails(record: Record):
    task = await record.create(start_within_ms=10 * 60_000, deadline_ms=2 * HOUR_MS)
    assert await record.deadlines.end_overdue_tasks() == 0
    await age(record, task.id)
    assert await record.deadlines.end_overdue_tasks() == 1
    assert await failed(record, task.id) == (
        "convert had to be started within 10 min of the call, but no worker has taken it."
    )
    assert await record.deadlines.end_overdue_tasks() == 0


async def test_a_task_that_was_started_in_time_may_wait_again(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(start_within_ms=10 * 60_000))
    await worker.release(held(task))
    await age(record, task.id)
    assert await record.deadlines.end_overdue_tasks() == 0
    await claim(worker, await record.task(task.id))


@pytest.mark.parametrize("limit", ["start_within_ms", "deadline_ms"])
async def test_what_is_overdue_is_not_started_any_more(record: Record, limit: str):
    """The queue may bring it before anybody has ended it."""
    limits: dict[str, Any] = {limit: HOUR_MS}
    task = await record.create(**limits)
    await age(record, task.id)
    assert await record.worker().claim(task.id, task.attempt) is None


async def never_started(record: Record) -> Task:
    return await record.create(deadline_ms=2 * HOUR_MS)


async def handed_back(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create(deadline_ms=2 * HOUR_MS))
    await worker.release(held(task))
    return task


async def tried_again_later(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create(deadline_ms=2 * HOUR_MS))
    return await record.failures(worker).retry(task, "The archive is busy.", 3 * HOUR_MS)


async def behind_its_breaker(record: Record) -> Task:
    worker = record.worker()
    for _ in range(5):
        failing = await claim(worker, await record.create())
        await record.failures(worker).retry(failing, "The archive is busy.", HOUR_MS)
    task = await record.create(deadline_ms=2 * HOUR_MS)
    assert await worker.claim(task.id, task.attempt) is None
    return task


async def lost(record: Record) -> Task:
    task = await claim(record.worker("dead", lease_ms=-1000), await record.create(deadline_ms=2 * HOUR_MS))
    assert await record.upkeep.rescue() == 1
    return task


async def parked(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create(deadline_ms=2 * HOUR_MS))
    await ask(worker, task)
    await worker.park(held(task))
    return task


@pytest.mark.parametrize(
    ("situation", "waiting"),
    [
        (never_started, "for a worker to start it."),
        (handed_back, "for a worker to go on with it."),
        (parked, "for an answer to its question."),
        (tried_again_later, "for its next attempt. The last one failed: The archive is busy."),
        (
            behind_its_breaker,
            "behind its circuit breaker: convert has failed 5 times in a row (last: The archive is busy); "
            "it is tried again at 2",
        ),
        (lost, "for a worker to go on with it. The last error was: Worker dead was lost."),
    ],
)
async def test_a_task_that_nobody_holds_fails_at_its_deadline(record: Record, situation: Any, waiting: str):
    task = await situation(record)
    assert await record.deadlines.end_overdue_tasks() == 0
    await age(record, task.id)
    assert await record.deadlines.end_overdue_tasks() == 1
    said = await failed(record, task.id)
    assert said.startswith(f"convert exceeded its deadline of 2 h, while it was waiting {waiting}")
    assert said.endswith(".")
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    assert (await record.task(task.id)).status is TaskStatus.FAILED


async def test_a_task_that_is_held_is_its_workers_to_stop(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(deadline_ms=HOUR_MS))
    await age(record, task.id)
    assert await record.deadlines.end_overdue_tasks() == 0
    assert (await finish(worker, task)).status is TaskStatus.COMPLETED


async def test_followers_of_an_overdue_task_see_its_end(record: Record):
    await record.start()
    task = await record.create(deadline_ms=HOUR_MS, origin=ORIGIN)
    async with record.service.watch(OWNER, [task.id]) as watch:
        await anext(watch)
        await age(record, task.id)
        await record.deadlines.end_overdue_tasks()
        seen: Any = await anext(watch)
        assert seen.status is TaskStatus.FAILED


async def test_many_overdue_tasks_end_in_batches_and_only_those(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deadlines, "BATCH", 2)
    tasks = [await record.create(deadline_ms=HOUR_MS) for _ in range(5)]
    neighbour = await record.create(deadline_ms=HOUR_MS)
    for task in tasks:
        await age(record, task.id)
    assert [await record.deadlines.end_overdue_tasks() for _ in range(4)] == [2, 2, 1, 0]
    assert (await record.task(neighbour.id)).status is TaskStatus.WORKING


async def test_looking_for_overdue_tasks_locks_nothing(record: Record):
    await record.create(deadline_ms=HOUR_MS, start_within_ms=HOUR_MS)
    with traffic(record) as seen:
        assert await record.deadlines.end_overdue_tasks() == 0
        assert await record.deadlines.close_overdue_questions() == 0
    assert (seen.commits, len(seen.statements), seen.count("SELECT")) == (0, 3, 3)


async def test_the_nearest_limit_ends_a_run_and_says_so(record: Record):
    task = await record.create(run_timeout_ms=30 * 60_000, deadline_ms=2 * HOUR_MS)
    assert limited(await claim(record.worker(), task)) == (
        "convert exceeded its time limit of 30 min for one attempt, and was stopped."
    )
    late = await record.create(run_timeout_ms=30 * 60_000, deadline_ms=2 * HOUR_MS)
    await age(record, late.id, by_ms=-HOUR_MS - 45 * 60_000)
    claimed = await claim(record.worker(), late)
    limit = limit_of_run(claimed, None)
    assert limit is not None
    assert 15 * 60_000 - 30_000 < limit.left_ms <= 15 * 60_000
    assert limited(claimed) == "convert exceeded its deadline of 2 h, and was stopped."


async def test_the_operators_limit_counts_too(record: Record):
    task = await claim(record.worker(), await record.create(run_timeout_ms=HOUR_MS))
    assert limited(task, most_run_ms=90_000) == (
        "convert exceeded the operator's time limit of 90 s for one attempt, and was stopped."
    )
    assert "its time limit of 1 h" in limited(task, most_run_ms=2 * HOUR_MS)
    unlimited = await claim(record.worker(), await record.create())
    assert limit_of_run(unlimited, None) is None


@pytest.mark.parametrize(
    ("progress", "message", "where"),
    [
        (Progress(3, 10), "page 3", 'was stopped at "page 3".'),
        (Progress(3, 10), None, "was stopped at 3 of 10."),
        (Progress(2.5), None, "was stopped at 2.5."),
    ],
)
async def test_a_stopped_run_says_how_far_it_had_come(
    record: Record, progress: Progress, message: str | None, where: str
):
    task = await claim(record.worker(), await record.create(run_timeout_ms=1))
    limit = limit_of_run(task, None)
    assert limit is not None
    assert limit.exceeded(progress, message).endswith(where)


def limited(task: Task, most_run_ms: int | None = None) -> str:
    limit = limit_of_run(task, most_run_ms)
    assert limit is not None
    return limit.exceeded(None, None)
