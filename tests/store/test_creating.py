"""Creating tasks: durable before anybody is answered, together when they come together."""
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tasks_server.queue import queue_key
from tasks_server.store.database import DATABASE_UNAVAILABLE
from tasks_server.store.outage import is_outage
from tasks_server.task import InputRequest, NewTask, Task, TaskStatus, new_task_id
from tests.store.counting import traffic
from tests.store.interleaving import GatedAnnouncer, gate_before_commit, gate_before_statement
from tests.store.record import ATTACHED, OWNER, Record, new_task, opened
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until


def test_ids_cannot_be_guessed():
    ids = {new_task_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(bytes.fromhex(task_id)) == 16 for task_id in ids)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"retention_ms": None, "poll_interval_ms": None, "run_timeout_ms": 5, "status_message": "Queued"},
        {"origin": ATTACHED, "arguments": '{"text":"\\u0000 \\ud83d\\ude00"}', "name": "emoji 😀"},
        {"retention_ms": 1},
    ],
)
async def test_what_a_caller_is_told_is_what_anybody_reads(
    record: Record, another: Record, changes: dict[str, object]
):
    task = await record.create(**changes)
    assert await another.task(task.id) == task
    assert (task.status, task.revision, task.attempt) == (TaskStatus.WORKING, 1, 0)
    assert task.started_at is None
    assert task.created_at == task.updated_at


async def test_a_new_task_is_announced_at_once(record: Record):
    task = await record.create()
    elsewhere = await record.create(queue="gpu")
    assert await record.announced() == [f"{task.id}:0"]
    assert await record.announced("gpu") == [f"{elsewhere.id}:0"]


async def test_nobody_is_answered_before_the_commit(record: Record, another: Record):
    new = new_task()
    with gate_before_commit(record) as gate:
        creating = asyncio.create_task(record.requests.create(new))
        await gate.reached.wait()
        assert await another.reader.find(new.id) is None
        assert await another.announced() == []
        assert not creating.done()
        gate.open()
        task = await creating
    assert await another.task(new.id) == task


async def test_concurrent_creations_share_commits_and_round_trips(record: Record):
    with traffic(record) as seen:
        tasks = await asyncio.gather(*(record.create(name=f"tool-{number}") for number in range(100)))
    assert seen.commits == 1
    assert seen.count("INSERT INTO task ") == 1
    assert len({task.id for task in tasks}) == 100
    assert [task.name for task in tasks] == [f"tool-{number}" for number in range(100)]
    assert len(await record.announced()) == 100
    assert await record.reader.find_many([task.id for task in tasks]) == {task.id: task for task in tasks}


async def test_a_lonely_creation_does_not_wait_for_company(record: Record):
    with traffic(record) as seen:
        for _ in range(3):
            await record.create()
    assert seen.commits == 3


async def test_a_bad_submission_does_not_fail_its_neighbours(record: Record):
    taken = await record.create()
    news = [new_task(name=f"tool-{number}") for number in range(5)]
    bad = new_task(id=taken.id)
    submissions: list[NewTask] = [news[0], *news[1:3], bad, *news[3:]]
    results = await asyncio.gather(
        *(record.requests.create(new) for new in submissions), return_exceptions=True
    )
    assert isinstance(results[3], DATABASE_UNAVAILABLE)
    assert not is_outage(results[3])
    created = [result for result in results if isinstance(result, Task)]
    assert [task.id for task in created] == [new.id for new in news]
    for task in created:
        assert await record.task(task.id) == task
    assert await record.task(taken.id) == taken


async def test_a_caller_that_goes_away_does_not_hold_up_the_others(record: Record):
    with gate_before_commit(record) as gate:
        first = asyncio.create_task(record.create())
        await gate.reached.wait()
        gone, stays = new_task(), new_task()
        going = asyncio.create_task(record.requests.create(gone))
        staying = asyncio.create_task(record.requests.create(stays))
        await wait_until(lambda: len(record.requests._creations._waiting) == 2, describing="both wait")
        going.cancel()
        gate.open()
        await asyncio.gather(first, staying)
    assert await record.task(stays.id) == staying.result()
    assert going.cancelled()
    assert await record.reader.find(gone.id) is None


async def test_questions_answered_before_are_part_of_the_task(record: Record):
    question = InputRequest("confirm", '{"method":"elicitation/create","params":{}}')
    task = await record.create(answers=((question, '{"action":"accept","content":{}}'),))
    assert (await record.task(task.id)).input_requests == ()
    assert await record.worker().responses(task.id) == {"confirm": {"action": "accept", "content": {}}}


async def test_a_task_is_there_although_redis_is_not(database_url: str, valkey: ValkeyServer, tmp_path: Path):
    valkey.kill()
    async with opened(database_url, valkey.url, tmp_path) as record:
        began = asyncio.get_running_loop().time()
        task = await record.create()
        assert asyncio.get_running_loop().time() - began < 10.0
        assert await record.task(task.id) == task
        valkey.start()
        await record.shift(task.id, "next_dispatch_at", -60_000)
        assert await record.upkeep.dispatch() == 1
        assert await record.announced() == [f"{task.id}:0"]


async def test_a_redis_that_hangs_holds_up_nobody_for_long(
    sqlite_url: str, valkey: ValkeyServer, tmp_path: Path
):
    """It accepts connections and commands, and answers none."""
    async with opened(sqlite_url, valkey.url, tmp_path) as record:
        first = await record.create()
        valkey.pause()
        try:
            began = asyncio.get_running_loop().time()
            await asyncio.gather(record.create(), record.requests.cancel(OWNER, first.id))
            assert asyncio.get_running_loop().time() - began < 10.0
        finally:
            valkey.resume()
        after = await record.create()
        assert f"{after.id}:0" in await record.announced()


async def test_a_process_that_dies_between_commit_and_announcement_loses_nothing(
    record: Record, another: Record
):
    record.requests._announcer = announcer = GatedAnnouncer(record)
    new = new_task()
    creating = asyncio.create_task(record.requests.create(new))
    await announcer.gate.reached.wait()
    creating.cancel()
    assert await another.announced() == []
    await another.shift(new.id, "next_dispatch_at", -60_000)
    await another.upkeep.dispatch()
    assert await another.announced() == [f"{new.id}:0"]
    announcer.gate.open()
    await wait_until(lambda: record.requests._creations._running is None, describing="the batch is over")


async def test_a_server_whose_clock_is_ahead_delays_nothing(record: Record, monkeypatch: pytest.MonkeyPatch):
    """Workers pick jobs by their own clock."""
    real = time.time
    with monkeypatch.context() as patched:
        patched.setattr("time.time", lambda: real() + 60)
        await record.create()
    ((_, score),) = await record.redis.zrange(queue_key("default"), 0, -1, withscores=True)
    assert score <= real() * 1000


async def test_the_oldest_is_first_in_the_queue(record: Record):
    jobs = [f"{(await record.create()).id}:0" for _ in range(3)]
    scores = dict(await record.redis.zrange(queue_key("default"), 0, -1, withscores=True))
    in_order = [scores[job.encode()] for job in jobs]
    assert in_order == sorted(in_order)


async def test_tasks_of_all_callers_share_a_reading(record: Record):
    tasks = [await record.create() for _ in range(30)]
    with traffic(record) as seen:
        found = await asyncio.gather(*(record.service.get(OWNER, task.id) for task in tasks * 2))
    assert found == tasks * 2
    assert seen.count("SELECT") == 1


async def test_what_arrives_while_others_are_recorded_is_recorded_together(record: Record):
    with traffic(record) as seen, gate_before_statement(record, 1) as gate:
        first = asyncio.create_task(record.create())
        await gate.reached.wait()
        others = [asyncio.create_task(record.create()) for _ in range(20)]
        await wait_until(lambda: len(record.requests._creations._waiting) == 20, describing="all wait")
        assert not first.done()
        gate.open()
        await asyncio.gather(first, *others)
    assert seen.count("INSERT INTO task ") == 2
