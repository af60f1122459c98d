"""Tasks by where they came from: the session, and the request in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tasks_server.signals import SessionTask
from tasks_server.store.lists import SETTLING_MS
from tasks_server.task import Door, Origin, Task
from tests.store.interleaving import gate_before_commit
from tests.store.record import (
    OWNER,
    Record,
    ask,
    claim,
    collect,
    finish,
    new_task,
)
from tests.support.waiting import wait_until

FAR = 2**80
IN_SESSION = Origin(Door.HANDLE, "2025-11-25", {"elicitation": {}}, session="s")


async def test_the_tasks_of_a_session_are_those_that_were_handed_out_in_it(record: Record):
    tasks = [await record.create(origin=IN_SESSION) for _ in range(3)]
    await record.create(origin=replace(IN_SESSION, door=Door.ATTACHED))
    await record.create(origin=replace(IN_SESSION, session="another"))
    await record.create(owner="mallory", origin=IN_SESSION)
    await record.create()
    await finish(record.worker(), await claim(record.worker(), tasks[1]))
    for place, task in enumerate((tasks[0], tasks[2])):
        await record.shift(task.id, "created_at", place - 10)
    assert await record.service.unfinished_of_session(OWNER, "s") == [tasks[2].id, tasks[0].id]
    assert await record.service.unfinished_of_session("mallory", "another") == []


async def test_of_a_session_what_has_changed_since_is_found(record: Record):
    worker = record.worker()
    waiting, running, ended = [await record.create(origin=IN_SESSION) for _ in range(3)]
    await finish(worker, await claim(worker, ended))
    await claim(worker, running)
    await ask(worker, await record.task(running.id))
    for origin in (replace(IN_SESSION, session="another"), replace(IN_SESSION, door=Door.ATTACHED)):
        await record.create(origin=origin)
    await record.create(owner="mallory", origin=IN_SESSION)
    await record.shift(waiting.id, "updated_at", -60_000)
    await record.shift(running.id, "updated_at", 30_000)
    changed = {task.id: await record.task(task.id) for task in (waiting, ended, running)}
    assert changed[running.id].input_requests != ()

    async def since(task: Task, later: int = 0) -> list[Task]:
        at = task.updated_at + SETTLING_MS + later
        return list(await record.service.changed_of_session(OWNER, "s", at))

    everything = list(changed.values())
    assert await since(changed[waiting.id]) == everything
    assert await since(changed[waiting.id], 1) == everything[1:]
    assert await since(changed[ended.id], -100) == everything[1:]
    assert await since(changed[ended.id], 100) == everything[2:]
    assert await since(changed[running.id], 1) == []
    assert await record.service.changed_of_session(OWNER, "s", -FAR) == everything
    assert await record.service.changed_of_session(OWNER, "s", FAR) == []


async def test_what_is_committed_late_is_found_all_the_same(record: Record, another: Record):
    """Its time is that of the statement; whoever looks between that and the commit must see it the next time."""
    task = await record.create(origin=IN_SESSION)
    worker = record.worker()
    with gate_before_commit(record) as gate:
        claiming = asyncio.create_task(worker.claim(task.id, 0))
        await gate.reached.wait()
        looked_at = await another.service.clock()
        gate.open()
        claimed = await claiming
    assert claimed is not None
    await wait_until(lambda: looked_at >= claimed.updated_at, describing="the look was after the change")
    assert await another.service.changed_of_session(OWNER, "s", looked_at) == [claimed]


@pytest.mark.parametrize("request_id", [1, "1", "", "\0", "é" * 5_000, -(2**63)], ids=repr)
async def test_a_task_is_found_by_its_request(record: Record, request_id: str | int):
    other: dict[str | int, str | int] = {1: "1", "1": 1}
    origin = replace(IN_SESSION, request_id=request_id)
    task = await record.create(origin=replace(origin, door=Door.ATTACHED))
    await record.create(origin=replace(origin, session="another"))
    await record.create(origin=replace(origin, request_id=other.get(request_id, "2")))
    find = record.service.find_request
    assert await find(OWNER, "s", request_id) == task.id
    assert await find("mallory", "s", request_id) is None
    assert await find(OWNER, "nowhere", request_id) is None
    assert await find(OWNER, "s", "3") is None
    assert (await record.task(task.id)).origin.request_id == request_id


async def test_of_two_requests_of_one_id_the_newer_counts(record: Record):
    origin = replace(IN_SESSION, request_id=1)
    old, new = [await record.create(origin=origin) for _ in range(2)]
    await record.shift(old.id, "created_at", -10)
    assert await record.service.find_request(OWNER, "s", 1) == new.id


async def test_where_a_task_came_from_is_kept(record: Record):
    origin = Origin(Door.HANDLE, "2025-11-25", {"sampling": {}}, "info", "token", "s", 7)
    task = await record.create(origin=origin)
    assert task == await record.task(task.id)
    assert task.origin == origin
    zero = replace(origin, progress_token=0, request_id=0)
    assert (await record.task((await record.create(origin=zero)).id)).origin == zero


async def test_the_streams_of_a_session_hear_of_what_is_handed_out_in_it(record: Record, another: Record):
    await record.start()
    key = {"idempotency_key": "k"}
    async with record.bus.subscribe(SessionTask) as signals:
        first = await another.create(origin=IN_SESSION, **key)
        await another.create(origin=IN_SESSION, **key)  # the same
        await another.create(origin=replace(IN_SESSION, door=Door.ATTACHED))
        await another.create()
        second = new_task(origin=replace(IN_SESSION, session="another"))
        await another.requests.create(second)
        assert await collect(signals, 2) == [SessionTask("s", first.id), SessionTask("another", second.id)]
