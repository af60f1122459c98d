"""Which tasks there are: an owner's in pages, those of a session, and what was said of one of them."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from tasks_server.bus import SessionTask
from tasks_server.encoding import encode_text
from tasks_server.errors import TaskNotFound
from tasks_server.store.lists import SETTLING_MS
from tasks_server.task import Door, Origin, OutcomeKind, Progress, Task, TaskEvent, TaskStatus
from tasks_server.task_page import Place, read_cursor
from tests.store.interleaving import gate_before_commit
from tests.store.record import (
    ATTACHED,
    ORIGIN,
    OWNER,
    Record,
    accept,
    ask,
    claim,
    collect,
    finish,
    held,
    new_task,
    rpc_error,
)
from tests.support.waiting import wait_until

HOUR_MS = 60 * 60 * 1000
FAR = 2**80

IN_SESSION = Origin(Door.HANDLE, "2025-11-25", {"elicitation": {}}, session="s")


async def listed(record: Record, limit: int, owner: str = OWNER) -> list[list[str]]:
    """The ids of all pages, each found by what the page before says to a client."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await record.service.list(owner, None if cursor is None else read_cursor(cursor), limit)
        pages.append([task.id for task in page.tasks])
        if page.next is None:
            return pages
        cursor = page.next.as_cursor()


async def in_order(record: Record, number: int, **changes: Any) -> list[str]:
    """So many new tasks, newest first; two each of the same millisecond."""
    ids = [(await record.create(**changes)).id for _ in range(number)]
    for place, task_id in enumerate(ids):
        created = 1_000_000 + place // 2
        await record.sql("UPDATE task SET created_at = :at WHERE id = :id", at=created, id=task_id)
    return sorted(ids, key=lambda task_id: (ids.index(task_id) // 2, task_id), reverse=True)


async def test_the_newest_task_comes_first_and_each_comes_once(record: Record):
    ids = await in_order(record, 7)
    assert await listed(record, 7) == [ids]
    assert await listed(record, 3) == [ids[:3], ids[3:6], ids[6:]]
    assert await listed(record, 1) == [[task_id] for task_id in ids]
    assert await listed(record, 100, "nobody") == [[]]


async def test_new_and_vanished_tasks_do_not_move_the_next_page(record: Record):
    ids = await in_order(record, 6)
    first = await record.service.list(OWNER, None, 3)
    await record.create()
    await record.sql("DELETE FROM task WHERE id = :id", id=ids[2])  # where the page ended
    second = await record.service.list(OWNER, first.next, 3)
    assert [task.id for task in (*first.tasks, *second.tasks)] == ids
    assert second.next is None


async def test_only_what_was_handed_out_is_listed_and_only_to_its_owner(record: Record):
    mine = await record.create()
    await record.create(origin=ATTACHED)
    theirs = await record.create(owner="mallory")
    expired = await record.finished(retention_ms=0)
    assert await listed(record, 10) == [[mine.id]]
    assert await listed(record, 10, "mallory") == [[theirs.id]]
    with pytest.raises(TaskNotFound):
        await record.service.get(OWNER, expired.id)


ODD = {
    "content": [{"type": "text", "text": '\0 \\u0000 "isError":true'}],
    "structuredContent": {"isError": True},
}


@pytest.mark.parametrize(
    ("kind", "outcome", "shown"),
    [
        (OutcomeKind.RESULT, encode_text({**ODD, "isError": True}), '{"isError":true}'),
        (OutcomeKind.RESULT, encode_text({**ODD, "isError": False}), "{}"),
        (OutcomeKind.RESULT, encode_text(ODD), "{}"),
        (OutcomeKind.RPC_ERROR, rpc_error("broken"), rpc_error("broken")),
        (OutcomeKind.CANCELLED, None, None),
    ],
)
async def test_a_page_does_not_carry_what_its_tasks_carry(
    record: Record, kind: OutcomeKind, outcome: str | None, shown: str | None
):
    worker = record.worker()
    claimed = await claim(worker, await record.create())
    ended = await worker.finish(held(claimed), kind, outcome, Progress(1, 2), "so far")
    (task,) = (await record.service.list(OWNER, None, 10)).tasks
    assert task == replace(ended, arguments="{}", outcome=shown)


async def test_what_cannot_be_read_hides_nothing_else(record: Record):
    ids = await in_order(record, 5)
    for task_id in ids[1:3]:
        await record.sql("UPDATE task SET method = 'tools/dream' WHERE id = :id", id=task_id)
    assert await listed(record, 2) == [ids[:1], ids[3:4], ids[4:]]


def test_a_cursor_comes_back_as_the_place_it_names():
    place = Place(1_785_196_800_123, "0123456789abcdef")
    assert read_cursor(place.as_cursor()) == place


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        7,
        "",
        "é",
        "not base64",
        *(
            base64.urlsafe_b64encode(content).decode()
            for content in (
                b"not JSON",
                b"[]",
                b'["tools", 1, "a"]',
                b'["tasks", true, "a"]',
                b'["tasks", 1.5, "a"]',
                b'["tasks", 1, 2]',
                b'["tasks", 1, "\\u0000"]',
                b'["tasks", 1, "a", 2]',
                b'["tasks", 18446744073709551615, "a"]',
            )
        ),
    ],
)
def test_another_cursor_is_refused(cursor: object):
    with pytest.raises(ValueError):  # noqa: PT011 - any of them: the caller says it in its own words
        read_cursor(cursor)


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


async def test_what_is_said_of_a_task_is_told_in_order_from_anywhere_on(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create())
    lines = [{"level": "info", "data": {"page": number}, "logger": None} for number in range(3)]
    await worker.note(held(task), lines[:2])
    await worker.report(held(task), Progress(1), "one")
    await ask(worker, task)
    await record.requests.answer(OWNER, task.id, {"name": accept("Ada")})
    await worker.note(held(task), lines[2:])
    told = await record.service.events_after(OWNER, task.id, 0)
    assert [(event.kind, event.body) for event in told] == [
        ("log", lines[0]),
        ("log", lines[1]),
        ("question", {"key": "name"}),
        ("log", lines[2]),
    ]
    assert [event.id for event in told] == sorted({event.id for event in told})
    for place, event in enumerate(told):
        assert await record.service.events_after(OWNER, task.id, event.id) == told[place + 1 :]
    assert await record.service.events_after(OWNER, task.id, 0, limit=2) == told[:2]


@pytest.mark.parametrize(
    ("owner", "task_id", "after"),
    [("mallory", None, 0), (OWNER, "no such task", 0), (OWNER, "\0", 0), (OWNER, None, FAR)],
)
async def test_nothing_is_told_where_there_is_nothing(
    record: Record, owner: str, task_id: str | None, after: int
):
    task = await claim(record.worker(), await record.create())
    await ask(record.worker(), task)
    assert await record.service.events_after(owner, task_id or task.id, after) == []
    (event,) = await record.service.events_after(OWNER, task.id, -FAR)
    assert event == TaskEvent(event.id, "question", {"key": "name"})


async def test_an_attached_call_that_is_handed_out_is_a_task_like_any_other(record: Record):
    worker = record.worker()
    task = await claim(worker, await record.create(origin=ATTACHED, retention_ms=60_000))
    before = await record.task(task.id)
    handed_out = await record.service.hand_out(OWNER, task.id, HOUR_MS)
    assert (handed_out.origin, handed_out.revision) == (ORIGIN, before.revision + 1)
    assert await listed(record, 10) == [[task.id]]
    await ask(worker, task)
    await worker.park(held(task))
    await record.shift(task.id, "expires_at", -2 * HOUR_MS)
    await record.expiry.extend()
    assert (await record.task(task.id)).status is TaskStatus.INPUT_REQUIRED
    again = await record.service.hand_out(OWNER, task.id, None)
    assert again == await record.task(task.id)
    assert (await record.row(task.id))["retention_ms"] == HOUR_MS


async def test_a_followed_call_shows_that_it_was_handed_out(record: Record):
    await record.start()
    task = await record.create(origin=ATTACHED)
    async with record.service.watch(OWNER, [task.id]) as watch:
        assert await anext(watch) == task
        handed_out = await record.service.hand_out(OWNER, task.id, None)
        assert await anext(watch) == handed_out
    assert (handed_out.ttl_ms, (await record.row(task.id))["expires_at"]) == (None, None)


async def test_only_an_unfinished_call_of_its_owner_is_handed_out(record: Record):
    ended = await record.finished(origin=ATTACHED)
    assert await record.service.hand_out(OWNER, ended.id, HOUR_MS) == ended
    task = await record.create(origin=ATTACHED)
    with pytest.raises(TaskNotFound):
        await record.service.hand_out("mallory", task.id, HOUR_MS)
    assert await record.task(task.id) == task


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
