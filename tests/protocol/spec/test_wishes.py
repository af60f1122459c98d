"""What a request may ask for its task: an idempotency key, a priority. And what it is told at a limit."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import TASKS, Request, calling
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack, endpoint
from tests.protocol.spec.wire import Wire

HEADER = "Idempotency-Key"
KEY = "tasks-server/idempotencyKey"
PRIORITY = "tasks-server/priority"
INVALID = (400, -32602)


def greeting(name: str = "Ada") -> Request:
    return calling("succeed", {"text": name}, TASKS)


async def task_id_of(wire: Wire, request: Request) -> str:
    return (await wire.send(request)).result["taskId"]


async def test_the_same_request_under_the_same_key_is_the_same_task(wire: Wire, other: Wire):
    first = await wire.send(greeting().header(HEADER, "a-1"))
    ended = await wire.reached(first.result["taskId"], "completed")
    again = await other.send(greeting().header(HEADER, "a-1"))
    assert again.result["taskId"] == first.result["taskId"]
    assert again.result["status"] == ended["status"]
    assert await task_id_of(wire, greeting().header(HEADER, "a-2")) != first.result["taskId"]


async def test_header_and_meta_name_one_key(wire: Wire):
    bare = await task_id_of(wire, greeting().header(HEADER, "b-1"))
    quoted = await task_id_of(wire, greeting().header(HEADER, '"b-1"'))
    in_meta = await task_id_of(wire, greeting().meta(KEY, "b-1"))
    both = await task_id_of(wire, greeting().header(HEADER, "b-1").meta(KEY, "b-1"))
    assert bare == quoted == in_meta == both
    escaped = await task_id_of(wire, greeting().header(HEADER, r'"b\"\\1"'))
    assert escaped == await task_id_of(wire, greeting().meta(KEY, 'b"\\1'))


async def test_another_request_under_the_key_is_a_conflict(wire: Wire, other: Wire):
    await wire.send(greeting().header(HEADER, "c-1"))
    for request in (greeting("Grace"), calling("fail", {}, TASKS)):
        reply = await other.send(request.header(HEADER, "c-1"))
        assert reply.refusal == INVALID
        assert "'c-1' belongs to another request" in reply.error["message"]
        assert reply.error["data"] == {"idempotencyKey": "c-1"}


async def test_duplicates_at_the_same_time_are_one_task(wire: Wire, other: Wire):
    request = [greeting().header(HEADER, "e-1") for _ in range(20)]
    ids = await asyncio.gather(
        *(task_id_of(client, each) for client, each in zip([wire, other] * 10, request, strict=True))
    )
    assert len(set(ids)) == 1


async def test_who_waits_for_the_result_joins_the_task(wire: Wire, other: Wire, notes: Notes):
    """Also after he has hung up: with a key he may come back."""
    request = calling("hold", notes.directory).header(HEADER, f"f-{notes.directory['directory']}")
    async with wire.stream(request.meta("progressToken", "p")):
        (task_id,) = await notes.seen("started")
    joined = asyncio.create_task(other.send(request))
    handed_out = await wire.send(calling("hold", notes.directory, TASKS).meta(KEY, request_key(request)))
    assert handed_out.result["taskId"] == task_id
    notes.leave("go")
    assert (await joined).text == "held"
    assert (await wire.send(request)).text == "held"
    assert notes.lines("started") == [task_id]
    assert notes.lines("stopped") == []


def request_key(request: Request) -> str:
    return dict(request.headers)[HEADER].decode()


@ON_ONE_DATABASE
@pytest.mark.parametrize("key", ["", "k" * 256, 5, ["k"], "new\nline", "\x7f"])
async def test_a_key_must_be_readable(wire: Wire, key: Any):
    reply = await wire.send(greeting().meta(KEY, key))
    assert reply.refusal == INVALID
    assert "1 to 255 printable characters" in reply.error["message"]


@ON_ONE_DATABASE
@pytest.mark.parametrize("headers", [["k", "k"], ['"open'], ['""'], ["k" * 256], [b"\xfc"]])
async def test_a_key_must_be_readable_in_the_header(wire: Wire, headers: list[Any]):
    reply = await wire.send(greeting().header(HEADER, *headers))
    assert reply.refusal == INVALID
    assert HEADER in reply.error["message"]


@ON_ONE_DATABASE
async def test_two_different_keys_are_refused(wire: Wire):
    reply = await wire.send(greeting().header(HEADER, "g-1").meta(KEY, "g-2"))
    assert reply.refusal == INVALID
    assert "must say the same" in reply.error["message"]


async def test_a_priority_is_recorded(stack: Stack, wire: Wire):
    for request, priority in ((greeting(), 0), (greeting().meta(PRIORITY, -100), -100)):
        task_id = await task_id_of(wire, request)
        rows = await stack.execute("SELECT priority FROM task WHERE id = :id", id=task_id)
        assert rows == [(priority,)]


@ON_ONE_DATABASE
@pytest.mark.parametrize("priority", [101, -101, 1.5, "1", True, []])
async def test_a_priority_is_a_small_integer(wire: Wire, priority: Any):
    reply = await wire.send(greeting().meta(PRIORITY, priority))
    assert reply.refusal == INVALID
    assert "integer from -100 to 100" in reply.error["message"]


WAITING = (
    "INSERT INTO task (id, owner, method, name, queue, arguments, door, origin, status, revision, attempt,"
    " retries_used, max_retries, created_at, updated_at, next_dispatch_at, dispatch_count, announced_at)"
    " VALUES ('waits for ever', 'anonymous', 'tools/call', 'x', 'nobody', '{}', 'handle',"
    ' \'{"protocolVersion":"2026-07-28","capabilities":{}}\', \'working\', 1, 0, 0, 0, 1, 1,'
    " 9000000000000, 0, 1)"
)


async def test_more_than_may_wait_is_refused_with_a_hint(stack: Stack, wire: Wire, http: httpx2.AsyncClient):
    server = stack.serve(TASKS_MAX_QUEUED_PER_OWNER="1")
    limited = Wire(http, await endpoint(server))
    known = await task_id_of(wire, greeting().header(HEADER, "h-1"))
    await wire.reached(known, "completed")
    await stack.execute(WAITING)
    try:
        for request in (greeting(), calling("succeed", {})):
            reply = await limited.send(request)
            assert reply.status == 429
            assert reply.headers["retry-after"] == "1"
            assert "the limit is 1" in reply.error["message"]
            assert reply.error["data"] == {"limit": 1, "retryAfterMs": 1000}
            assert not -32768 <= reply.error["code"] <= -32000
        assert await task_id_of(limited, greeting().header(HEADER, "h-1")) == known
    finally:
        await stack.execute("DELETE FROM task WHERE id = 'waits for ever'")
    assert (await limited.call("succeed", {})).text == "done"
    await server.stop()
