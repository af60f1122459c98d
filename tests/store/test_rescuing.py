"""What time demands: work of lost workers goes on elsewhere, and what Redis forgot is announced again."""
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tasks_server.redis_client import UNAVAILABLE
from tasks_server.task import TaskStatus
from tests.store.counting import traffic
from tests.store.record import OWNER, Record, accept, ask, claim, finish, held, opened
from tests.support.redis_keys import flush
from tests.support.servers import ValkeyServer


async def test_a_lost_task_waits_for_another_worker(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create())
    assert await record.upkeep.rescue() == 1
    lost = await record.task(task.id)
    assert (lost.status, lost.attempt, lost.crashes) == (TaskStatus.WORKING, 1, 1)
    assert (lost.retries_used, lost.last_error) == (0, "Worker dead was lost")
    assert (lost.lease_worker, lost.lease_until) == (None, None)
    assert lost.status_message == "The worker was lost; waiting for another one"
    assert lost.revision == task.revision + 1
    assert f"{task.id}:1" in await record.announced()
    assert ("lost", {"attempt": 0, "worker": "dead"}) in await record.events(task.id)
    assert await record.upkeep.rescue() == 0


async def test_a_worker_that_lives_is_left_alone(record: Record):
    task = await claim(record.worker(), await record.create())
    assert await record.upkeep.rescue() == 0
    assert await record.task(task.id) == task


async def test_a_worker_that_renews_in_time_keeps_its_task(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    await record.shift(task.id, "lease_until", -120_000)
    await worker.renew([task.id])
    assert await record.upkeep.rescue() == 0


async def test_a_lost_task_that_asks_is_parked_at_no_cost(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    task = await claim(dead, await record.create(max_crashes=1))
    await ask(dead, task)
    before = await record.task(task.id)
    assert await record.upkeep.rescue() == 1
    parked = await record.task(task.id)
    assert (parked.status, parked.attempt, parked.crashes) == (TaskStatus.INPUT_REQUIRED, 1, 0)
    assert (parked.revision, parked.input_requests) == (before.revision, before.input_requests)
    assert f"{task.id}:1" not in await record.announced()
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    assert f"{task.id}:1" in await record.announced()


async def test_all_tasks_of_a_dead_worker_are_rescued(record: Record):
    dead = record.worker("dead", lease_ms=-1000)
    tasks = [await claim(dead, await record.create()) for _ in range(5)]
    assert await record.upkeep.rescue() == 5
    assert {f"{task.id}:1" for task in tasks} <= set(await record.announced())


async def test_several_rescuers_count_one_crash(record: Record, another: Record):
    dead = record.worker("dead", lease_ms=-1000)
    tasks = [await claim(dead, await record.create()) for _ in range(5)]
    rescued = await asyncio.gather(*(each.upkeep.rescue() for each in (record, another) * 3))
    assert sum(rescued) == 5
    for task in tasks:
        assert (await record.task(task.id)).crashes == 1
        assert len(await record.events(task.id)) == 2


# --- announcing again -------------------------------------------------------------------------------------------


async def test_what_was_just_announced_is_not_announced_again(record: Record):
    await record.create()
    assert await record.upkeep.dispatch() == 1  # Redis is new: everything is announced once
    assert await record.upkeep.dispatch() == 0


async def test_a_lost_announcement_is_made_good(record: Record):
    task = await record.create()
    await record.upkeep.dispatch()
    await record.redis.delete("tasks:queue:default", f"arq:job:{task.id}:0")
    assert await record.upkeep.dispatch() == 0
    await record.shift(task.id, "next_dispatch_at", -2_000)
    assert await record.upkeep.dispatch() == 1
    assert await record.announced() == [f"{task.id}:0"]


async def test_the_pause_between_announcements_doubles_up_to_a_minute(record: Record):
    task = await record.create()
    await record.upkeep.dispatch()
    pauses: list[int] = []
    for _ in range(7):
        await record.shift(task.id, "next_dispatch_at", -120_000)
        before = (await record.sql("SELECT max(updated_at) FROM task"))[0][0]
        await record.upkeep.dispatch()
        row = await record.row(task.id)
        pauses.append(row["next_dispatch_at"] - before)
        assert (row["revision"], row["updated_at"]) == (task.revision, task.updated_at)
    for pause, expected in zip(pauses, (4, 8, 16, 32, 60, 60, 60), strict=True):
        assert expected * 1000 <= pause < expected * 1000 + 5_000


async def test_a_claim_starts_the_pauses_anew(record: Record):
    task = await record.create()
    await record.upkeep.dispatch()
    for _ in range(4):
        await record.shift(task.id, "next_dispatch_at", -120_000)
        await record.upkeep.dispatch()
    dead = record.worker("dead", lease_ms=-1000)
    await claim(dead, task)
    await record.upkeep.rescue()
    row = await record.row(task.id)
    assert row["dispatch_count"] == 0
    assert row["next_dispatch_at"] - row["updated_at"] in range(1_900, 2_101)


async def test_after_a_flush_everything_that_waits_is_announced_at_once(record: Record):
    worker = record.worker()
    tasks = [await record.create() for _ in range(5)]
    await claim(worker, tasks[0])
    await finish(worker, await claim(worker, tasks[1]))
    await ask(worker, await claim(worker, tasks[2]))
    await record.upkeep.dispatch()
    for _ in range(3):
        await record.shift(tasks[3].id, "next_dispatch_at", -120_000)
        await record.upkeep.dispatch()
    flush(record.redis_url)
    assert await record.upkeep.dispatch() == 2
    assert set(await record.announced()) == {f"{task.id}:0" for task in tasks[3:]}
    assert await record.upkeep.dispatch() == 0


async def test_after_a_flush_every_process_may_dispatch(record: Record, another: Record):
    tasks = [await record.create() for _ in range(3)]
    await record.upkeep.dispatch()
    flush(record.redis_url)
    await asyncio.gather(*(each.upkeep.dispatch() for each in (record, another) * 3))
    assert sorted(await record.announced()) == sorted(f"{task.id}:0" for task in tasks)
    assert await record.upkeep.dispatch() == 0


async def test_announcing_twice_makes_one_job(record: Record):
    task = await record.create()
    for _ in range(3):
        await record.announcer.waiting([task])
    assert await record.announced() == [f"{task.id}:0"]


async def test_a_backlog_is_announced_in_batches(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tasks_server.lifecycle.upkeep.DISPATCH_BATCH", 2)
    tasks = [await record.create() for _ in range(5)]
    flush(record.redis_url)
    counts = [await record.upkeep.dispatch() for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert set(await record.announced()) == {f"{task.id}:0" for task in tasks}


async def test_nothing_to_do_is_one_reading(record: Record):
    await record.upkeep.dispatch()
    with traffic(record) as seen:
        assert await record.upkeep.dispatch() == 0
        assert await record.upkeep.rescue() == 0
    assert len(seen.statements) == 2


async def test_without_redis_nothing_counts_as_announced(
    database_url: str, valkey: ValkeyServer, tmp_path: Path
):
    """Whether it is down before the look or goes down after it."""
    async with opened(database_url, valkey.url, tmp_path) as record:
        task = await record.create()
        await record.upkeep.dispatch()
        await record.shift(task.id, "next_dispatch_at", -120_000)
        before = await record.row(task.id)
        valkey.kill()
        with pytest.raises(UNAVAILABLE):
            await record.upkeep.dispatch()
        record.upkeep._queue.has_forgotten = _no  # the outage begins right after this look
        assert await record.upkeep.dispatch() == 0
        assert await record.row(task.id) == before


async def _no() -> bool:
    return False


async def test_an_outage_of_the_database_after_a_flush_forgets_nothing(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    task = await record.create()
    await record.upkeep.dispatch()
    flush(record.redis_url)

    class Outage(OSError): ...

    def fail() -> None:
        raise Outage

    with monkeypatch.context() as broken:
        broken.setattr(record.database, "writing", fail)
        with pytest.raises(Outage):
            await record.upkeep.dispatch()
    assert await record.upkeep.dispatch() == 1
    assert await record.announced() == [f"{task.id}:0"]


async def test_the_log_says_when_a_worker_let_go_not_when_the_task_last_changed(record: Record):
    worker, dead = record.worker(), record.worker("dead", lease_ms=-1000)
    released, lost = await claim(worker, await record.create()), await claim(dead, await record.create())
    await ask(dead, lost)
    for task in (released, lost):
        await record.shift(task.id, "updated_at", -60_000)
    await worker.release(held(released))
    await record.upkeep.rescue()
    for task, kind in ((released, "released"), (lost, "lost")):
        (event,) = [row for row in await record.rows("task_event", task.id) if row["kind"] == kind]
        assert event["at"] > (await record.row(task.id))["updated_at"] + 50_000
