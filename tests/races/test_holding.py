"""Two workers, a rescuer, or the end of a task's time, on the same task: one of them has it."""

from __future__ import annotations

import pytest

from tasks_server.errors import StaleTransition, TaskNotFound
from tasks_server.lifecycle.claims import Standing
from tasks_server.task import Progress, Task, TaskStatus
from tests.store.interleaving import beside, overlap
from tests.store.record import OWNER, Record, ask, claim, finish, held


async def test_two_claims(record: Record, another: Record):
    task = await record.create()
    first, second = await overlap(
        record,
        record.worker("first").claim(task.id, 0),
        another,
        lambda: another.worker("second").claim(task.id, 0),
    )
    assert isinstance(first, Task)
    assert second is None
    assert (await record.task(task.id)).lease_worker == "first"


async def test_rescue_then_finish(record: Record, another: Record):
    dead = another.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    _, finished = await overlap(record, record.upkeep.rescue(), another, lambda: finish(dead, task))
    assert isinstance(finished, StaleTransition)
    after = await record.task(task.id)
    assert (after.status, after.attempt) == (TaskStatus.WORKING, 1)


async def test_a_report_then_rescue(record: Record, another: Record):
    """A worker that is late with its lease but alive loses the task all the same; what it wrote before stays."""
    late = record.worker("late", lease_ms=-1000)
    task = await claim(late, await record.create())
    _, rescued = await beside(
        record, late.report(held(task), Progress(1.0), "one"), another, another.upkeep.rescue
    )
    assert isinstance(rescued, int)
    assert rescued + await another.upkeep.rescue() == 1
    after = await record.task(task.id)
    assert (after.attempt, after.progress) == (1, 1.0)
    with pytest.raises(StaleTransition):
        await late.report(held(task), Progress(2.0), "two")


async def test_rescue_then_renewal(record: Record, another: Record):
    late = another.worker("late", lease_ms=-1000)
    task = await claim(late, await record.create())
    await beside(record, record.upkeep.rescue(), another, lambda: late.renew([task.id]))
    assert await late.renew([task.id]) == []


async def test_two_rescuers(record: Record, another: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    first, second = await beside(record, record.upkeep.rescue(), another, another.upkeep.rescue)
    assert (first, second) == (1, 0)
    assert (await record.task(task.id)).crashes == 1


async def test_rescue_then_park(record: Record, another: Record):
    dead = another.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    await ask(dead, task)
    _, parked = await overlap(record, record.upkeep.rescue(), another, lambda: dead.park(held(task)))
    assert parked is False
    after = await record.task(task.id)
    assert (after.status, after.attempt, after.retries_used) == (TaskStatus.INPUT_REQUIRED, 1, 0)


async def test_park_then_rescue(record: Record, another: Record):
    late = record.worker("late", lease_ms=-1000)
    task = await claim(late, await record.create())
    await ask(late, task)
    parked, rescued = await beside(record, late.park(held(task)), another, another.upkeep.rescue)
    assert parked is True
    assert rescued == 0
    after = await record.task(task.id)
    assert (after.status, after.attempt, after.retries_used) == (TaskStatus.INPUT_REQUIRED, 1, 0)


async def test_rescue_then_question(record: Record, another: Record):
    dead = another.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    _, asked = await overlap(record, record.upkeep.rescue(), another, lambda: ask(dead, task))
    assert isinstance(asked, StaleTransition)
    assert await record.rows("input_request", task.id) == []


async def test_question_then_rescue(record: Record, another: Record):
    """The rescuer has seen a task that worked, and would send it to the queue; it asks by now."""
    late = record.worker("late", lease_ms=-1000)
    task = await claim(late, await record.create())
    await beside(record, ask(late, task), another, another.upkeep.rescue)
    await another.upkeep.rescue()
    after = await record.task(task.id)
    assert (after.status, after.attempt, after.retries_used) == (TaskStatus.INPUT_REQUIRED, 1, 0)
    assert [question.key for question in after.input_requests] == ["name"]


async def test_claim_then_dispatch(record: Record, another: Record):
    """A task that is being claimed is announced once more; the announcement finds nothing to do."""
    task = await record.create()
    await record.upkeep.dispatch()
    await record.shift(task.id, "next_dispatch_at", -60_000)
    claimed, marked = await beside(
        record, record.worker().claim(task.id, 0), another, another.upkeep.dispatch
    )
    assert isinstance(claimed, Task)
    assert f"{task.id}:0" in await record.announced()
    assert marked == 0
    assert (await record.row(task.id))["next_dispatch_at"] is None
    assert await another.worker("late").claim(task.id, 0) is None


@pytest.mark.parametrize("wish", ["get", "answer", "cancel"])
async def test_a_client_comes_while_its_task_is_being_deleted(record: Record, another: Record, wish: str):
    ended = await record.finished(retention_ms=0)
    wishes = {
        "get": lambda: another.service.get(OWNER, ended.id),
        "answer": lambda: another.service.answer(OWNER, ended.id, {}),
        "cancel": lambda: another.service.cancel(OWNER, ended.id),
    }
    expired, granted = await beside(record, record.expiry.expire(), another, wishes[wish])
    assert expired == [ended.id]
    assert isinstance(granted, TaskNotFound)


async def test_two_processes_expire_at_once(record: Record, another: Record):
    ended = await record.finished(retention_ms=0)
    first, second = await beside(record, record.expiry.expire(), another, another.expiry.expire)
    assert first == [ended.id]
    assert second in ([], [ended.id])
    assert await record.sql("SELECT id FROM task") == []


async def test_finish_beside_expiry(record: Record, another: Record):
    """What is only just finishing is not swept away with what finished before."""
    old = await record.finished(retention_ms=0)
    worker = another.worker()
    task = await claim(worker, await record.create(retention_ms=60_000))
    await record.shift(task.id, "expires_at", -600_000)
    expired, finished = await beside(record, record.expiry.expire(), another, lambda: finish(worker, task))
    assert expired == [old.id]
    assert isinstance(finished, Task)
    assert await record.task(task.id) == finished


async def test_extension_then_finish(record: Record, another: Record):
    worker = another.worker()
    task = await claim(worker, await record.create(retention_ms=60_000))
    await record.shift(task.id, "expires_at", -600_000)
    extended, finished = await overlap(record, record.expiry.extend(), another, lambda: finish(worker, task))
    assert extended == 1
    assert isinstance(finished, Task)
    assert finished.ttl_ms is not None
    assert finished.finished_at is not None
    assert finished.ttl_ms - 60_000 - (finished.finished_at - finished.created_at) in range(-5, 6)


async def test_renewal_during_a_report(record: Record, another: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    _, standings = await beside(
        record,
        worker.report(held(task), Progress(1.0), None),
        another,
        lambda: another.worker().renew([task.id]),
    )
    assert isinstance(standings, list)
    assert [standing.held for standing in standings] == [held(task)]
    assert await worker.renew([task.id]) == [Standing(held(task), cancel_requested=False)]
