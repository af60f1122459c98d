"""A cancel that meets something else on the same task: whoever comes first, the task ends."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.errors import StaleTransition
from tasks_server.task import Task, TaskStatus
from tests.store.interleaving import beside, gate_before_statement, is_waiting, overlap
from tests.store.record import OWNER, Record, accept, ask, claim, finish, held
from tests.support.waiting import wait_until


async def parked(record: Record) -> Task:
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    await worker.park(held(task))
    return await record.task(task.id)


async def test_claim_then_cancel(record: Record, another: Record):
    task = await record.create()
    claimed, _ = await overlap(
        record, record.worker().claim(task.id, 0), another, lambda: another.requests.cancel(OWNER, task.id)
    )
    assert isinstance(claimed, Task)
    after = await record.task(task.id)
    assert after.status is TaskStatus.WORKING
    assert after.cancel_requested_at is not None


async def test_cancel_then_claim(record: Record, another: Record):
    task = await record.create()
    _, claimed = await overlap(
        record, record.requests.cancel(OWNER, task.id), another, lambda: another.worker().claim(task.id, 0)
    )
    assert claimed is None
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


async def test_cancel_then_finish(record: Record, another: Record):
    task = await claim(another.worker(), await record.create())
    _, finished = await overlap(
        record, record.requests.cancel(OWNER, task.id), another, lambda: finish(another.worker(), task)
    )
    assert isinstance(finished, Task)
    assert (await record.task(task.id)).status is TaskStatus.COMPLETED


async def test_finish_then_cancel(record: Record, another: Record):
    """The finish comes while the cancel is between reading and writing."""
    task = await claim(another.worker(), await record.create())
    with gate_before_statement(record, 1) as gate:
        cancelling = asyncio.create_task(record.requests.cancel(OWNER, task.id))
        await gate.reached.wait()
        finishing = asyncio.create_task(finish(another.worker(), task))
        if record.database.is_sqlite:
            await wait_until(lambda: is_waiting(another), describing="the finish waits for the cancel")
        else:
            await finishing
        gate.open()
        await asyncio.gather(cancelling, finishing)
    assert (await record.task(task.id)).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("statement", [1, 2])
async def test_park_in_the_middle_of_a_cancel(record: Record, another: Record, statement: int):
    """Held when the cancel looked, parked when it wrote: the cancel must not fall between the two."""
    worker = another.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    with gate_before_statement(record, statement) as gate:
        cancelling = asyncio.create_task(record.requests.cancel(OWNER, task.id))
        await gate.reached.wait()
        parking = asyncio.create_task(worker.park(held(task)))
        await wait_until(
            lambda: parking.done() or is_waiting(another),
            describing="the park is done, or waits for the lock",
        )
        gate.open()
        _, was_parked = await asyncio.gather(cancelling, parking)
    after = await record.task(task.id)
    if was_parked:
        assert after.status is TaskStatus.CANCELLED
    else:
        assert after.cancel_requested_at is not None
        assert after.lease_worker == worker.worker_id


async def test_park_then_cancel(record: Record, another: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    was_parked, _ = await overlap(
        record, worker.park(held(task)), another, lambda: another.requests.cancel(OWNER, task.id)
    )
    assert was_parked is True
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


async def test_cancel_then_park(record: Record, another: Record):
    worker = another.worker()
    task = await claim(worker, await record.create())
    await ask(worker, task)
    _, was_parked = await overlap(
        record, record.requests.cancel(OWNER, task.id), another, lambda: worker.park(held(task))
    )
    assert was_parked is False
    (standing,) = await worker.renew([task.id])
    assert standing.cancel_requested


async def test_cancel_then_release(record: Record, another: Record):
    worker = another.worker()
    task = await claim(worker, await record.create())
    await overlap(record, record.requests.cancel(OWNER, task.id), another, lambda: worker.release(held(task)))
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


async def test_release_then_cancel(record: Record, another: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await overlap(
        record, worker.release(held(task)), another, lambda: another.requests.cancel(OWNER, task.id)
    )
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


@pytest.mark.parametrize("asks", [False, True], ids=["running", "asking"])
async def test_cancel_then_rescue(record: Record, another: Record, asks: bool):
    """The rescuer has seen a task that nobody had cancelled; what it does must not bury the cancel."""
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    if asks:
        await ask(dead, task)
    await beside(record, record.requests.cancel(OWNER, task.id), another, another.upkeep.rescue)
    await another.upkeep.rescue()
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED


@pytest.mark.parametrize("asks", [False, True], ids=["running", "asking"])
async def test_rescue_then_cancel(record: Record, another: Record, asks: bool):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    if asks:
        await ask(dead, task)
    await overlap(record, record.upkeep.rescue(), another, lambda: another.requests.cancel(OWNER, task.id))
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED
    with pytest.raises(StaleTransition):
        await finish(dead, task)


async def test_answer_then_cancel(record: Record, another: Record):
    task = await parked(record)
    await overlap(
        record,
        record.requests.answer(OWNER, task.id, {"name": accept("Ada")}),
        another,
        lambda: another.requests.cancel(OWNER, task.id),
    )
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED
    assert await record.worker().claim(task.id, task.attempt) is None


async def test_cancel_then_answer(record: Record, another: Record):
    task = await parked(record)
    await overlap(
        record,
        record.requests.cancel(OWNER, task.id),
        another,
        lambda: another.requests.answer(OWNER, task.id, {"name": accept("Ada")}),
    )
    assert (await record.task(task.id)).status is TaskStatus.CANCELLED
    (question,) = await record.rows("input_request", task.id)
    assert question["response"] is None
