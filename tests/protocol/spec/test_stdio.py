"""The same protocol over a pipe: a message a line, requests side by side, cancellation by a notification."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.protocol.official import check_response
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import (
    FORM,
    MCP,
    SUBSCRIPTION_ID,
    TASKS,
    Request,
    accept,
    calling,
    listening,
    retried,
)
from tests.protocol.spec.stack import MAX_REQUEST_BYTES, ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire, judge
from tests.support.pipe import Message, Pipe
from tests.support.waiting import wait_until

STDIO = "basic/transports/stdio"
SENDING = f"{STDIO}#sending-messages"
RECEIVING = f"{STDIO}#receiving-messages"
METADATA = f"{STDIO}#request-metadata"
CANCELLATION = f"{STDIO}#cancellation"
BEHAVIOUR = "basic/patterns/cancellation#behavior-requirements"
ERRORS = "basic/patterns/cancellation#error-handling"
CONCURRENT = "basic/patterns/subscriptions#multiple-concurrent-subscriptions"

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"

UNUSED = 10**9
"""An id that no other request of this process has."""


async def sent(pipe: Pipe, request: Request) -> Message:
    """The response, held against the schema."""
    message = await pipe.answer(request.body)
    judge(message, request.body["method"], request.id)
    return message


async def result_of(pipe: Pipe, request: Request) -> dict[str, Any]:
    message = await sent(pipe, request)
    assert "result" in message, message
    return message["result"]


async def told(pipe: Pipe, method: str, subscription: Any = None, **params: Any) -> dict[str, Any]:
    """Wait for a notification; its params."""

    def wanted(message: Message) -> bool:
        found = message.get("params", {})
        return (
            message.get("method") == method
            and (subscription is None or found["_meta"].get(SUBSCRIPTION_ID) == subscription)
            and params.items() <= found.items()
        )

    return (await pipe.message(wanted, f"{method} with {params}"))["params"]


def errors_without_id(pipe: Pipe) -> list[int]:
    """The codes of the errors that name no request."""
    return [
        message["error"]["code"] for message in pipe.messages if "error" in message and "id" not in message
    ]


async def refused(pipe: Pipe, line: bytes) -> int:
    """Send what is no request; the code of the error that comes."""
    before = len(errors_without_id(pipe))
    pipe.write(line)
    await wait_until(lambda: len(errors_without_id(pipe)) > before, describing="an error without an id")
    return errors_without_id(pipe)[before]


# --- what is served -------------------------------------------------------------------------------------------------


@pytest.mark.spec(METADATA)
async def test_a_request_needs_no_headers(pipe: Pipe):
    found = await result_of(pipe, Request.of("server/discover"))
    assert "2026-07-28" in found["supportedVersions"]
    tools = (await result_of(pipe, Request.of("tools/list")))["tools"]
    assert "greet" in {tool["name"] for tool in tools}


@pytest.mark.spec(METADATA)
async def test_a_version_that_is_not_spoken_is_refused_with_those_that_are(pipe: Pipe):
    error = (await sent(pipe, Request.of("tools/list").meta(MCP + "protocolVersion", "1900-01-01")))["error"]
    assert error["code"] == -32022
    assert "2026-07-28" in error["data"]["supported"]


@pytest.mark.spec(RECEIVING)
async def test_an_attached_call_reports_before_its_result(pipe: Pipe, notes: Notes):
    call = calling("report", notes.directory).meta("progressToken", "pipe-1")
    pipe.send(call.body)
    assert (await told(pipe, "notifications/progress", progressToken="pipe-1", progress=3))["total"] == 3
    notes.leave("go")
    response = await pipe.response(call.id)
    check_response(response, "tools/call")
    of_call = [
        message
        for message in pipe.messages
        if message.get("params", {}).get("progressToken") == "pipe-1" or message.get("id") == call.id
    ]
    assert of_call[-1] is response, "nothing comes after the response"


@pytest.mark.spec(RECEIVING)
async def test_a_question_is_answered_by_another_round(pipe: Pipe, notes: Notes):
    call = calling("ask_twice", notes.directory, FORM)
    first = await result_of(pipe, call)
    assert first["resultType"] == "input_required"
    (key,) = first["inputRequests"]
    second_call = retried(call, first, {key: accept(name="Ann")})
    second = await result_of(pipe, second_call)
    (key,) = second["inputRequests"]
    last = await result_of(pipe, retried(second_call, second, {key: accept(ok=True)}))
    assert last["resultType"] == "complete"


@pytest.mark.spec(RECEIVING)
async def test_a_task_made_through_a_pipe_is_known_to_every_server(pipe: Pipe, wire: Wire, notes: Notes):
    task = await result_of(pipe, calling("hold", notes.directory, TASKS))
    assert task["resultType"] == "task"
    notes.leave("go")
    assert (await wire.reached(task["taskId"], "completed"))["taskId"] == task["taskId"]
    found = await result_of(pipe, Request.of("tasks/get", {"taskId": task["taskId"]}, TASKS))
    assert found["status"] == "completed"


@pytest.mark.spec(RECEIVING)
async def test_requests_are_answered_as_they_are_done(pipe: Pipe, notes: Notes):
    slow = calling("hold", notes.directory)
    pipe.send(slow.body)
    await notes.seen("started")
    quick = [calling("greet", {"name": f"number {number}"}) for number in range(20)]
    for request in quick:
        pipe.send(request.body)
    for number, request in enumerate(quick):
        response = await pipe.response(request.id)
        assert response["result"]["content"][0]["text"] == f"Hello, number {number}!"
    assert not [message for message in pipe.messages if message.get("id") == slow.id]
    notes.leave("go")
    assert "result" in await pipe.response(slow.id)


@pytest.mark.spec(RECEIVING)
@ON_ONE_DATABASE
async def test_ids_come_back_as_they_were_sent(pipe: Pipe):
    for request_id in (f"{UNUSED}", UNUSED, "", "\n", -1):
        assert "result" in await sent(pipe, Request.of("server/discover").member("id", request_id))


# --- lines ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec(SENDING)
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{]\n", -32700),
        (b'{"jsonrpc": "2.0", "id": 1,\n', -32700),
        (b"\xff\xfe\n", -32700),
        (b"\x00\n", -32700),
        (b"17\n", -32600),
        (b"[]\n", -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "server/discover"}\n', -32600),
        (b'"' + b"x" * MAX_REQUEST_BYTES + b'"\n', -32600),
        (b"Content-Length: 17\r\n", -32700),
    ],
    ids=["broken", "half", "not UTF-8", "NUL", "number", "batch", "null id", "too long", "a header"],
)
@ON_ONE_DATABASE
async def test_a_line_that_is_no_message_is_answered_and_survived(pipe: Pipe, line: bytes, code: int):
    assert await refused(pipe, line) == code
    assert "result" in await sent(pipe, Request.of("tools/list"))


@pytest.mark.spec(SENDING)
@ON_ONE_DATABASE
async def test_what_is_no_request_says_so_under_its_id(pipe: Pipe):
    message = await pipe.answer({"id": "no jsonrpc", "method": "tools/list"})
    assert message["error"]["code"] == -32600


@pytest.mark.spec(SENDING)
@ON_ONE_DATABASE
async def test_empty_lines_and_other_line_ends_are_nothing_special(pipe: Pipe):
    before = len(errors_without_id(pipe))
    request = Request.of("tools/list")
    pipe.write(b"\n  \n\r\n" + request.content + b"\r\n\n")
    assert "result" in await pipe.response(request.id)
    assert len(errors_without_id(pipe)) == before


@pytest.mark.spec(SENDING)
@ON_ONE_DATABASE
async def test_a_message_may_come_in_pieces(pipe: Pipe):
    request = Request.of("tools/list")
    for at in range(0, len(request.content), 40):
        pipe.write(request.content[at : at + 40])
        await asyncio.sleep(0)
    pipe.write(b"\n")
    assert "result" in await pipe.response(request.id)


@pytest.mark.spec("basic/index#requests")
@ON_ONE_DATABASE
async def test_an_id_that_is_in_use_is_refused_without_harm_to_who_has_it(pipe: Pipe, notes: Notes):
    call = calling("hold", notes.directory)
    pipe.send(call.body)
    await notes.seen("started")
    assert await refused(pipe, call.content + b"\n") == -32600
    ping = {"jsonrpc": "2.0", "id": call.id, "method": "ping"}
    assert await refused(pipe, json.dumps(ping).encode() + b"\n") == -32600
    notes.leave("go")
    assert "result" in await pipe.response(call.id)
    assert len(notes.lines("started")) == 1
    assert "result" in await sent(pipe, Request.of("tools/list"))


@pytest.mark.spec(SENDING)
@ON_ONE_DATABASE
async def test_who_does_not_read_is_not_read_from(pipe: Pipe):
    requests = [Request.of("tools/list") for _ in range(800)]
    pipe.stop_reading()
    writing = asyncio.create_task(asyncio.to_thread(_write_all, pipe, requests))
    try:
        await wait_until(
            lambda: pipe.would_block(), describing="the server to read no more", timeout_seconds=30
        )
        assert not writing.done()
    finally:
        pipe.read_on()
    await writing
    for request in requests:
        assert "result" in await pipe.response(request.id)


def _write_all(pipe: Pipe, requests: list[Request]) -> None:
    for request in requests:
        pipe.send(request.body)


# --- cancellation ---------------------------------------------------------------------------------------------------


@pytest.mark.spec(CANCELLATION)
async def test_cancelling_an_attached_call_stops_its_tool(pipe: Pipe, notes: Notes):
    call = calling("hold", notes.directory)
    pipe.send(call.body)
    await notes.seen("started")
    pipe.cancel(call.id)
    assert await notes.seen("stopped")
    await sent(pipe, Request.of("tools/list"))
    assert not [message for message in pipe.messages if message.get("id") == call.id]


@pytest.mark.spec(BEHAVIOUR)
async def test_cancelling_a_call_that_was_answered_with_a_task_leaves_the_task(pipe: Pipe, notes: Notes):
    call = calling("hold", notes.directory, TASKS)
    task_id = (await result_of(pipe, call))["taskId"]
    await notes.seen("started")
    pipe.cancel(call.id)
    await sent(pipe, Request.of("tools/list"))
    found = await result_of(pipe, Request.of("tasks/get", {"taskId": task_id}, TASKS))
    assert found["status"] == "working"
    notes.leave("go")


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize(
    "params",
    [{"requestId": "nobody has it"}, {"requestId": None}, {"requestId": [1]}, {"requestId": True}, {}],
)
@ON_ONE_DATABASE
async def test_a_cancellation_that_names_no_request_is_ignored(
    pipe: Pipe, notes: Notes, params: dict[str, Any]
):
    call = calling("hold", notes.directory).member("id", 1)  # which Python takes for True
    answered = answers_to(pipe, 1)
    pipe.send(call.body)
    await notes.seen("started")
    pipe.notify("notifications/cancelled", params)
    await sent(pipe, Request.of("tools/list"))
    notes.leave("go")
    await wait_until(lambda: answers_to(pipe, 1) > answered, describing="the answer")
    assert not notes.lines("stopped")


def answers_to(pipe: Pipe, request_id: int) -> int:
    return len([message for message in pipe.messages if message.get("id") == request_id])


# --- subscriptions --------------------------------------------------------------------------------------------------


@pytest.mark.spec(CONCURRENT)
async def test_two_subscriptions_share_the_pipe_and_are_told_apart(pipe: Pipe):
    first = listening({"resourceSubscriptions": ["spec://pipe/1", "spec://pipe/both"]})
    second = listening({"resourceSubscriptions": ["spec://pipe/2", "spec://pipe/both"]})
    for request in (first, second):
        pipe.send(request.body)
        await told(pipe, ACKNOWLEDGED, request.id)
    for uri in ("spec://pipe/1", "spec://pipe/2", "spec://pipe/both"):
        await result_of(pipe, calling("announce", {"uri": uri}))
    for request in (first, second):
        await told(pipe, UPDATED, request.id, uri="spec://pipe/both")
    assert heard(pipe, first) == ["spec://pipe/1", "spec://pipe/both"]
    assert heard(pipe, second) == ["spec://pipe/2", "spec://pipe/both"]
    for request in (first, second):
        pipe.cancel(request.id)


@pytest.mark.spec("basic/patterns/subscriptions#cancellation")
async def test_a_subscription_that_was_cancelled_is_silent(pipe: Pipe):
    uri = "spec://pipe/cancelled"
    cancelled, kept = (listening({"resourceSubscriptions": [uri]}) for _ in range(2))
    for request in (cancelled, kept):
        pipe.send(request.body)
        await told(pipe, ACKNOWLEDGED, request.id)
    pipe.cancel(cancelled.id)
    await result_of(pipe, calling("announce", {"uri": uri}))
    await told(pipe, UPDATED, kept.id, uri=uri)
    assert heard(pipe, cancelled) == []
    assert not [message for message in pipe.messages if message.get("id") == cancelled.id]
    pipe.cancel(kept.id)


@pytest.mark.spec("basic/patterns/subscriptions#receiving-notifications")
async def test_a_task_is_followed_through_the_pipe(pipe: Pipe, notes: Notes):
    task_id = (await result_of(pipe, calling("hold", notes.directory, TASKS)))["taskId"]
    request = listening({"taskIds": [task_id]}, TASKS)
    pipe.send(request.body)
    await told(pipe, "notifications/tasks", request.id, taskId=task_id, status="working")
    notes.leave("go")
    await told(pipe, "notifications/tasks", request.id, taskId=task_id, status="completed")
    pipe.cancel(request.id)


def heard(pipe: Pipe, request: Request) -> list[str]:
    """The resources of whose change this subscription was told."""
    return [
        message["params"]["uri"]
        for message in pipe.messages
        if message.get("method") == UPDATED and message["params"]["_meta"].get(SUBSCRIPTION_ID) == request.id
    ]
