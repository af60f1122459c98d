"""What many runs of a worker do at the same moment is done by one statement, each as if it were alone."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.errors import StaleTransition
from tasks_server.lifecycle.claims import Claims
from tasks_server.task import OutcomeKind, Progress, Task, TaskStatus
from tests.store.interleaving import is_waiting, locked
from tests.store.plans import statements
from tests.store.record import ASK_NAME, OWNER, RESULT, Record, ask, claim, finish, held, rpc_error
from tests.support.waiting import wait_until

MANY = 40


async def many(record: Record, number: int = MANY) -> list[Task]:
    return [await record.create() for _ in range(number)]


async def claim_all(worker: Claims, tasks: list[Task]) -> list[Task | None]:
    return await asyncio.gather(*(worker.claim(task.id, task.attempt) for task in tasks))


async def all_held(worker: Claims, tasks: list[Task]) -> list[Task]:
    claimed = await claim_all(worker, tasks)
    assert None not in claimed
    return [task for task in claimed if task is not None]


async def test_one_attempt_is_given_once_to_those_who_want_it_at_once(record: Record):
    worker, (first, second) = record.worker(), await many(record, 2)
    _, *both = await claim_all(worker, [first, second, second])
    assert both.count(None) == 1


async def test_many_are_claimed_at_once(record: Record):
    worker, tasks = record.worker(), await many(record)
    with statements(record) as seen:
        claimed = await all_held(worker, tasks)
    assert len(seen) < MANY / 2
    assert claimed == [await record.task(task.id) for task in tasks]
    assert all(task.lease_worker == worker.worker_id and task.started_at is not None for task in claimed)
    for task in tasks:
        assert await record.events(task.id) == [("attempt", {"attempt": 0, "worker": worker.worker_id})]


async def test_two_workers_that_claim_the_same_share_them(record: Record, another: Record):
    tasks = await many(record)
    ours, theirs = await asyncio.gather(
        claim_all(record.worker(), tasks), claim_all(another.worker(), tasks[::-1])
    )
    for one, other in zip(ours, theirs[::-1], strict=True):
        assert (one is None) != (other is None)


async def test_what_cannot_be_claimed_hinders_nobody(record: Record):
    worker = record.worker()
    fresh, taken, ended, asking, later = await many(record, 5)
    await claim(worker, taken)
    await finish(worker, await claim(worker, ended))
    await ask(worker, await claim(worker, asking), request=ASK_NAME)
    wanted = [(fresh.id, 0), (taken.id, 0), (ended.id, 0), (asking.id, 0), (later.id, 1), ("nobody's", 0)]
    before = [await record.row(task.id) for task in (taken, ended, asking, later)]
    claimed = await asyncio.gather(*(record.worker().claim(*each) for each in wanted))
    assert [task and task.id for task in claimed] == [fresh.id, None, None, None, None, None]
    assert [await record.row(task.id) for task in (taken, ended, asking, later)] == before


async def test_who_sits_on_one_task_delays_no_other(record: Record, another: Record):
    """SQLite has no locks on rows."""
    if record.database.is_sqlite:
        pytest.skip("one lock for all")
    worker, tasks = record.worker(), await many(record)
    async with locked(another, tasks[3].id):
        claims = [asyncio.create_task(worker.claim(task.id, 0)) for task in tasks]
        await asyncio.wait([*claims[:3], *claims[4:]], timeout=20)
        assert [not claiming.done() for claiming in claims].count(True) == 1
        await wait_until(lambda: is_waiting(record), describing="the claim of the locked one waits")
    claimed = [task for task in await asyncio.gather(*claims) if task is not None]
    assert len(claimed) == MANY
    async with locked(another, tasks[3].id):
        endings = [asyncio.create_task(finish(worker, task)) for task in claimed]
        await asyncio.wait([*endings[:3], *endings[4:]], timeout=20)
        assert [not ending.done() for ending in endings].count(True) == 1
    await asyncio.gather(*endings)


async def test_many_end_at_once_each_in_its_way(record: Record):
    worker = record.worker()
    one, two, three, four, *rest = await all_held(worker, await many(record))
    await worker.report(held(four), Progress(1.0, 2.0), "half")
    with statements(record) as seen:
        await asyncio.gather(
            worker.finish(held(one), OutcomeKind.RESULT, RESULT, Progress(0.1, None), 'é "\\u0000" ✓'),
            worker.finish(held(two), OutcomeKind.RPC_ERROR, rpc_error("no"), None, "It broke"),
            worker.finish(held(three), OutcomeKind.CANCELLED, None, None, "Cancelled"),
            worker.finish(held(four), OutcomeKind.RESULT, RESULT, None, None),
            *(worker.finish(held(task), OutcomeKind.RESULT, RESULT, None, None) for task in rest),
        )
    assert len(seen) < MANY / 2
    first, second, third, fourth = [await record.task(task.id) for task in (one, two, three, four)]
    assert (first.status, first.outcome, first.progress) == (TaskStatus.COMPLETED, RESULT, 0.1)
    assert first.status_message == 'é "\\u0000" ✓'
    assert (second.status, second.outcome) == (TaskStatus.FAILED, rpc_error("no"))
    assert (third.status, third.outcome, third.outcome_kind) == (TaskStatus.CANCELLED, None, "cancelled")
    assert (fourth.progress, fourth.progress_total, fourth.status_message) == (1.0, 2.0, None)
    for task in rest:
        assert (await record.task(task.id)).status is TaskStatus.COMPLETED


async def test_who_has_lost_a_task_hears_it_and_the_others_do_not(record: Record):
    worker = record.worker()
    lost, *others = await all_held(worker, await many(record))
    await record.shift(lost.id, "lease_until", -3_600_000)
    await record.upkeep.rescue()
    results = await asyncio.gather(
        *(worker.finish(held(task), OutcomeKind.RESULT, RESULT, None, None) for task in (lost, *others)),
        return_exceptions=True,
    )
    assert isinstance(results[0], StaleTransition)
    assert results[1:] == [None] * len(others)
    assert (await record.service.get(OWNER, lost.id)).status is TaskStatus.WORKING
