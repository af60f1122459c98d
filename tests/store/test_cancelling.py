"""Cancelling: at once where nobody works, through the worker where somebody does, and never half."""

from __future__ import annotations

import pytest

from tasks_server.errors import StaleTransition
from tasks_server.task import OutcomeKind, TaskStatus
from tests.store.record import OWNER, Record, accept, ask, claim, finish, held


async def test_a_waiting_task_is_cancelled_at_once(record: Record):
    task = await record.create()
    await record.requests.cancel(OWNER, task.id)
    cancelled = await record.task(task.id)
    assert cancelled.status is TaskStatus.CANCELLED
    assert (cancelled.outcome_kind, cancelled.outcome) == (OutcomeKind.CANCELLED, None)
    assert cancelled.revision == task.revision + 1
    assert await record.worker().claim(task.id, task.attempt) is None


async def test_a_parked_task_is_cancelled_at_once(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    assert await worker.park(held(task))
    await record.requests.cancel(OWNER, task.id)
    cancelled = await record.task(task.id)
    assert cancelled.status is TaskStatus.CANCELLED
    assert cancelled.input_requests == ()
    await record.requests.answer(OWNER, task.id, {"name": accept("too late")})
    assert await record.task(task.id) == cancelled


@pytest.mark.parametrize("asks", [False, True], ids=["running", "asking"])
async def test_a_held_task_is_cancelled_by_its_worker(record: Record, asks: bool):
    worker = record.worker()
    task = await claim(worker, await record.create())
    if asks:
        await ask(worker, task)
    await record.requests.cancel(OWNER, task.id)
    asked_for = await record.task(task.id)
    assert asked_for.status is (TaskStatus.INPUT_REQUIRED if asks else TaskStatus.WORKING)
    assert asked_for.cancel_requested_at is not None
    assert asked_for.status_message == "Cancelling"
    (standing,) = await worker.renew([task.id])
    assert standing.cancel_requested
    looked = await worker.look(held(task))
    assert looked is not None
    assert looked.cancel_requested
    await worker.finish(held(task), OutcomeKind.CANCELLED, None, None, "Cancelled")
    ended = await record.task(task.id)
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Cancelled")


async def test_cancelling_again_changes_nothing(record: Record):
    worker = record.worker()
    waiting, running = await record.create(), await claim(worker, await record.create())
    for task in (waiting, running):
        await record.requests.cancel(OWNER, task.id)
        before = await record.row(task.id)
        await record.requests.cancel(OWNER, task.id)
        assert await record.row(task.id) == before


async def test_cancel_after_the_end_leaves_the_result(record: Record):
    task = await record.finished()
    await record.requests.cancel(OWNER, task.id)
    assert await record.task(task.id) == task


async def test_a_tool_may_finish_in_spite_of_a_cancel(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.requests.cancel(OWNER, task.id)
    await finish(worker, task)
    assert (await record.task(task.id)).status is TaskStatus.COMPLETED


async def test_a_foreign_task_is_not_cancelled(record: Record):
    waiting, running = await record.create(), await claim(record.worker(), await record.create())
    for task in (waiting, running):
        await record.requests.cancel("mallory", task.id)
        assert await record.task(task.id) == task


async def test_a_cancelled_task_is_not_parked(record: Record):
    """Nobody would take it up again: parked, it would wait for an answer that ends in nothing."""
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    await record.requests.cancel(OWNER, task.id)
    assert not await worker.park(held(task))
    still = await record.task(task.id)
    assert (still.lease_worker, still.attempt) == (worker.worker_id, task.attempt)


@pytest.mark.parametrize("asks", [False, True], ids=["running", "asking"])
async def test_a_cancelled_task_is_not_handed_back_but_ended(record: Record, asks: bool):
    worker = record.worker()
    task = await claim(worker, await record.create())
    if asks:
        await ask(worker, task)
    await record.requests.cancel(OWNER, task.id)
    await worker.release(held(task))
    ended = await record.task(task.id)
    assert (ended.status, ended.status_message) == (TaskStatus.CANCELLED, "Cancelled")
    with pytest.raises(StaleTransition):
        await worker.release(held(task))


@pytest.mark.parametrize("asks", [False, True], ids=["running", "asking"])
async def test_a_cancelled_task_of_a_dead_worker_is_cancelled(record: Record, asks: bool):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create(max_crashes=1))
    if asks:
        await ask(dead, task)
    await record.requests.cancel(OWNER, task.id)
    assert await record.upkeep.rescue() == 1
    ended = await record.task(task.id)
    assert ended.status is TaskStatus.CANCELLED
    assert (ended.crashes, ended.retries_used) == (0, 0)
    with pytest.raises(StaleTransition):
        await finish(dead, task)
