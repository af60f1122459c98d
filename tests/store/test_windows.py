"""Dispatch windows: what is announced of an owner's tasks, what waits in SQL only, and in which order both go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tasks_server.lifecycle.quotas import Quotas
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.store.statements import claims as claims_sql
from tasks_server.task import Task
from tests.store.record import OWNER, Record, accept, ask, claim, held, opened
from tests.store.test_breakers import fail
from tests.support.redis_keys import flush
from tests.support.waiting import wait_until

WINDOW = 8


@pytest.fixture
async def small(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Record]:
    """A process with a small window."""
    async with opened(database_url, redis_url, tmp_path / "artifacts", Quotas(window=WINDOW)) as record:
        yield record


async def create_many(record: Record, number: int, **changes: object) -> list[Task]:
    return list(await asyncio.gather(*(record.create(**changes) for _ in range(number))))


def jobs(tasks: list[Task]) -> list[str]:
    return [f"{task.id}:{task.attempt}" for task in tasks]


async def behind(record: Record) -> int:
    """How many tasks wait in SQL only."""
    (row,) = await record.sql("SELECT count(*) AS n FROM task WHERE backlog_rank IS NOT NULL")
    return row.n


async def test_only_a_window_is_announced(small: Record):
    await small.upkeep.dispatch()
    tasks = await create_many(small, 20)
    assert await small.announced() == jobs(tasks[:WINDOW])
    assert await behind(small) == 20 - WINDOW
    assert await small.upkeep.dispatch() == 0


async def test_every_owner_and_every_queue_has_a_window(small: Record):
    await create_many(small, 2 * WINDOW)
    other = await create_many(small, WINDOW, owner="other")
    elsewhere = await create_many(small, WINDOW, queue="gpu")
    assert set(jobs(other)) < set(await small.announced())
    assert await small.announced("gpu") == jobs(elsewhere)


async def test_one_commit_may_fill_many_windows(small: Record):
    owners = [f"owner-{number}" for number in range(30)]
    await asyncio.gather(*(small.create(owner=owner) for owner in owners for _ in range(WINDOW + 1)))
    assert len(await small.announced()) == 30 * WINDOW
    assert await behind(small) == 30


async def test_whoever_comes_later_does_not_overtake_the_line(small: Record):
    tasks = await create_many(small, WINDOW + 2)
    await claim(small.worker(), tasks[0])
    late = await small.create()
    assert f"{late.id}:0" not in await small.announced()


async def test_a_window_is_refilled_when_a_quarter_of_it_is_free(small: Record):
    tasks = await create_many(small, 3 * WINDOW)
    await claim(small.worker(), tasks[0])
    assert await small.window.refill() == 0
    await claim(small.worker(), tasks[1])
    assert await small.window.refill() == 2
    assert (await small.announced())[WINDOW:] == jobs(tasks[WINDOW : WINDOW + 2])
    assert await small.window.refill() == 0


async def test_claims_refill_without_anybody_looking(small: Record):
    """The window follows from the claims alone: nothing here looks around once a second."""
    tasks = await create_many(small, 5 * WINDOW)
    refilling = asyncio.create_task(small.window.run())
    try:
        for task in tasks:
            await wait_until(lambda task=task: _is_announced(small, task), describing="its turn comes")
            await claim(small.worker(), task)
    finally:
        refilling.cancel()
    assert await behind(small) == 0


async def _is_announced(record: Record, task: Task) -> bool:
    return (await record.row(task.id))["backlog_rank"] is None


async def test_of_one_owner_the_highest_priority_goes_first_then_the_oldest(small: Record):
    first = await create_many(small, WINDOW)
    low = await create_many(small, 2, priority=-100)
    usual = await create_many(small, 2)
    high = await create_many(small, 2, priority=100)
    urgent = await create_many(small, 1, priority=7)
    for task in first:
        await claim(small.worker(), task)
    await small.window.refill()
    assert (await small.announced())[WINDOW:] == jobs([*high, *urgent, *usual, *low])


async def test_two_processes_let_every_task_in_once(small: Record, database_url: str, redis_url: str):
    tasks = await create_many(small, 6 * WINDOW)
    for task in tasks[:WINDOW]:
        await claim(small.worker(), task)
    async with opened(database_url, redis_url, small.directory, small.quotas) as another:
        admitted = await asyncio.gather(*(each.window.refill() for each in (small, another) * 3))
    announced = await small.announced()
    assert len(announced) == len(set(announced)) == WINDOW + sum(admitted)
    assert sum(admitted) == WINDOW


async def test_a_line_of_every_owner_is_looked_at(small: Record):
    tasks = [task for number in range(5) for task in await create_many(small, 2 * WINDOW, owner=f"{number}")]
    for task in tasks:
        if f"{task.id}:0" in await small.announced():
            await claim(small.worker(), task)
    assert await small.window.refill() == 5 * WINDOW
    assert await behind(small) == 0


async def test_after_a_flush_windows_are_announced_again_and_nothing_else(small: Record):
    worker = small.worker()
    tasks = await create_many(small, 4 * WINDOW)
    later = await claim(worker, tasks[0])
    await worker.release(held(later), announce=False)
    flush(small.redis_url)
    assert await small.upkeep.dispatch() == WINDOW - 1
    assert sorted(await small.announced()) == sorted(jobs(tasks[1:WINDOW]))  # submitted in one millisecond
    await small.shift(later.id, "next_dispatch_at", -60_000)
    assert await small.upkeep.dispatch() == 1


async def test_what_has_been_started_goes_on_before_the_line(small: Record):
    worker = small.worker()
    tasks = await create_many(small, 2 * WINDOW)
    asking, running = [await claim(worker, task) for task in tasks[:2]]
    await ask(worker, asking)
    await worker.park(held(asking))
    await small.window.refill()
    await small.requests.answer(OWNER, asking.id, {"name": accept("Ada")})
    await worker.release(held(running))
    announced = await small.announced()
    assert {f"{asking.id}:1", f"{running.id}:1"} < set(announced)


async def test_a_task_behind_the_window_can_be_cancelled(small: Record):
    tasks = await create_many(small, WINDOW + 1)
    await small.requests.cancel(OWNER, tasks[-1].id)
    assert (await small.task(tasks[-1].id)).is_terminal
    assert await behind(small) == 0


async def test_a_window_that_was_cancelled_makes_room(small: Record):
    tasks = await create_many(small, WINDOW + 3)
    for task in tasks[:WINDOW]:
        await small.requests.cancel(OWNER, task.id)
    assert await small.window.refill() == 3


async def test_a_queue_without_redis_costs_no_turn(small: Record, monkeypatch: pytest.MonkeyPatch):
    """What was let in but could not be announced is announced by the dispatcher."""
    tasks = await create_many(small, 2 * WINDOW)
    for task in tasks[:WINDOW]:
        await claim(small.worker(), task)

    async def fails(_waiting: object) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(small.queue, "enqueue", fails)
        assert await small.window.refill() == WINDOW
    await small.sql("UPDATE task SET next_dispatch_at = 1 WHERE announced_at IS NOT NULL")
    assert await small.upkeep.dispatch() == WINDOW
    assert set(jobs(tasks[WINDOW:])) < set(await small.announced())


@pytest.fixture
async def limited(database_url: str, redis_url: str, tmp_path: Path) -> AsyncGenerator[Record]:
    """A process that lets every owner run two tasks at a time."""
    quotas = Quotas(window=WINDOW, max_running=2)
    async with opened(database_url, redis_url, tmp_path / "artifacts", quotas) as record:
        yield record


async def test_one_that_may_not_run_keeps_nobody_from_being_the_probe(limited: Record):
    """Of a paused tool, whose next task in line belongs to an owner who runs all he may."""
    await fail(limited, 5, owner="somebody")
    first = await limited.create(owner="busy")
    assert await limited.worker().claim(first.id, 0) is None
    for _ in range(2):
        await claim(limited.worker(), await limited.create(owner="busy", name="another tool"))
    await limited.sql("UPDATE breaker SET open_until = opened_at")
    assert await limited.worker().claim(first.id, 0) is None
    await claim(limited.worker(), await limited.create(owner="other"))


async def test_an_owner_runs_no_more_than_he_may(limited: Record):
    tasks = await create_many(limited, 4)
    other = await limited.create(owner="other")
    workers = [limited.worker(f"worker-{number}") for number in range(4)]
    claims = await asyncio.gather(
        *(worker.claim(task.id, 0) for worker, task in zip(workers, tasks, strict=True))
    )
    assert sum(claimed is not None for claimed in claims) == 2
    assert await limited.worker().claim(other.id, 0) is not None
    refused = [task for task, claimed in zip(tasks, claims, strict=True) if claimed is None]
    for task in refused:
        row = await limited.row(task.id)
        assert "another task of this owner" in row["status_message"]
        assert (row["attempt"], row["retries_used"], row["announced_at"]) == (1, 0, None)
    assert await limited.window.refill() == 0


async def test_the_next_one_comes_when_one_has_ended(limited: Record):
    worker = limited.worker()
    tasks = await create_many(limited, 3)
    running = [await claim(worker, task) for task in tasks[:2]]
    assert await worker.claim(tasks[2].id, 0) is None
    refilling = asyncio.create_task(limited.window.run())
    try:
        await worker.release(held(running[0]), announce=False)
        await wait_until(lambda: _is_announced(limited, tasks[2]), describing="the next one is announced")
    finally:
        refilling.cancel()
    claimed = await worker.claim(tasks[2].id, 1)
    assert claimed is not None
    assert claimed.status_message is None


async def test_a_window_of_its_own_needs_no_worker(small: Record):
    """A server that submits and a worker that refills share nothing but the record."""
    await create_many(small, 2 * WINDOW)
    window = DispatchWindow(small.database, small.queue, Quotas(window=2 * WINDOW))
    assert await window.refill() == WINDOW


async def test_a_claim_says_whether_others_wait_behind_its_own_window(small: Record):
    """A line of somebody else, or in another queue, is none of its business."""
    (mine, *_) = await create_many(small, WINDOW + 1)
    others = await small.create(owner="other")
    elsewhere = await small.create(queue="gpu")
    answers: list[bool] = []
    async with small.database.transaction() as connection:
        for task in (mine, others, elsewhere):
            row = await connection.execute(claims_sql.claim_if_waiting(task.id, 0, "worker", 1000))
            answers.append(bool(row.one().has_backlog))
    assert answers == [True, False, False]
