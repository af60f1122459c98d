"""Revisions with a handshake over a pipe, which may carry 2026-07-28 at the same time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import Request
from tests.protocol.spec.stack import Stack
from tests.support.pipe import Message, Pipe
from tests.support.waiting import wait_until

LIFECYCLE = "2025-11-25 basic/lifecycle#initialization"
STDIO = "2025-11-25 basic/transports#stdio"
BATCHING = "2025-03-26 basic/index#batching"
COMPATIBILITY = "basic/versioning#backward-compatibility-with-initialization-based-versions"

numbers = itertools.count(1)


def message(method: str, params: Mapping[str, Any] | None = None) -> Message:
    return {
        "jsonrpc": "2.0",
        "id": f"session-{next(numbers)}",
        "method": method,
        "params": dict(params or {}),
    }


def initialize(version: str) -> Message:
    capabilities: dict[str, Any] = {"elicitation": {"form": {}}}
    client = {"name": "spec", "version": "1"}
    return message(
        "initialize", {"protocolVersion": version, "capabilities": capabilities, "clientInfo": client}
    )


def calling(tool: str, arguments: Mapping[str, Any], **params: Any) -> Message:
    return message("tools/call", {"name": tool, "arguments": dict(arguments), **params})


async def result_of(pipe: Pipe, request: Message) -> dict[str, Any]:
    answer = await pipe.answer(request)
    assert "result" in answer, answer
    return answer["result"]


def as_line(content: Any) -> bytes:
    return json.dumps(content).encode() + b"\n"


def text_of(result: Mapping[str, Any]) -> str:
    return result["content"][0]["text"]


@pytest.fixture(scope="module")
def session(sqlite_stack: Stack) -> Pipe:
    """A pipe on which a session of 2025-11-25 has begun, as a host does it that waits for nothing."""
    pipe = sqlite_stack.pipe()
    pipe.send(initialize("2025-11-25"))
    pipe.notify("notifications/initialized", {})
    return pipe


@pytest.fixture
def sqlite_notes(sqlite_stack: Stack) -> Notes:
    return Notes(sqlite_stack.new_directory())


@pytest.mark.spec(LIFECYCLE)
async def test_the_handshake_says_what_is_served(sqlite_stack: Stack):
    pipe = sqlite_stack.pipe()
    refused = await pipe.answer(message("tools/list"))
    assert refused["error"]["code"] in {-32600, -32602}
    assert await result_of(pipe, message("ping")) == {}
    result = await result_of(pipe, initialize("2025-06-18"))
    assert result["protocolVersion"] == "2025-06-18"
    assert "tasks" not in result["capabilities"]
    assert await result_of(pipe, message("ping")) == {}
    again = await pipe.answer(initialize("2025-11-25"))
    assert again["error"]["code"] == -32600
    pipe.close()
    assert await pipe.started.ended() == 0


@pytest.mark.spec(STDIO)
async def test_tools_are_listed_and_called(session: Pipe):
    tools = (await result_of(session, message("tools/list")))["tools"]
    assert "greet" in {tool["name"] for tool in tools}
    result = await result_of(session, calling("greet", {"name": "Ann"}))
    assert text_of(result) == "Hello, Ann!"
    assert "resultType" not in result


@pytest.mark.spec(COMPATIBILITY)
async def test_both_revisions_share_the_pipe(session: Pipe):
    modern = Request.of("tools/list")
    legacy = message("tools/list")
    session.send(modern.body)
    session.send(legacy)
    assert (await session.response(modern.id))["result"]["resultType"] == "complete"
    assert "resultType" not in (await session.response(legacy["id"]))["result"]


@pytest.mark.spec("2025-11-25 basic/utilities/progress#progress-flow")
async def test_progress_comes_before_the_result(session: Pipe, sqlite_notes: Notes):
    call = calling("report", sqlite_notes.directory, _meta={"progressToken": "legacy-1"})
    session.send(call)
    await session.message(
        lambda found: (
            found.get("params", {}).get("progressToken") == "legacy-1" and found["params"]["progress"] == 3
        ),
        "the last progress",
    )
    sqlite_notes.leave("go")
    assert "result" in await session.response(call["id"])


@pytest.mark.spec("2025-11-25 client/elicitation#creating-elicitation-requests")
async def test_a_question_is_a_request_whose_answer_comes_back_over_the_pipe(
    session: Pipe, sqlite_notes: Notes
):
    call = calling("ask_twice", sqlite_notes.directory)
    session.send(call)
    seen: set[Any] = set()
    for content in ({"name": "Ann"}, {"ok": True}):
        asked = await session.message(
            lambda found: found.get("method") == "elicitation/create" and found["id"] not in seen,
            "a question",
        )
        seen.add(asked["id"])
        session.send(
            {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": content}}
        )
    result = (await session.response(call["id"]))["result"]
    assert not result.get("isError"), result


@pytest.mark.spec("2025-11-25 basic/utilities/cancellation#cancellation-flow")
async def test_cancelling_a_call_stops_its_tool(session: Pipe, sqlite_notes: Notes):
    call = calling("hold", sqlite_notes.directory)
    session.send(call)
    await sqlite_notes.seen("started")
    session.cancel(call["id"])
    assert await sqlite_notes.seen("stopped")
    await result_of(session, message("ping"))
    assert not [found for found in session.messages if found.get("id") == call["id"]]


@pytest.mark.spec("2025-11-25 basic/utilities/tasks#task-status-notification")
async def test_a_task_is_handed_out_and_its_result_waited_for(session: Pipe, sqlite_notes: Notes):
    created = await result_of(session, calling("hold", sqlite_notes.directory, task={"ttl": 60_000}))
    task_id = created["task"]["taskId"]
    listed = await result_of(session, message("tasks/list"))
    assert task_id in {task["taskId"] for task in listed["tasks"]}
    waiting = message("tasks/result", {"taskId": task_id})
    session.send(waiting)
    assert (await result_of(session, message("tasks/get", {"taskId": task_id})))["status"] == "working"
    sqlite_notes.leave("go")
    result = (await session.response(waiting["id"]))["result"]
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": task_id}
    await session.message(
        lambda found: (
            found.get("method") == "notifications/tasks/status"
            and found["params"]["taskId"] == task_id
            and found["params"]["status"] == "completed"
        ),
        "the status that nobody asked for",
    )


@pytest.mark.spec("2025-11-25 server/tools#list-changed-notification")
async def test_changes_are_told_unasked(session: Pipe):
    def told() -> int:
        method = "notifications/tools/list_changed"
        return len([found for found in session.messages if found.get("method") == method])

    await result_of(session, calling("greet", {"name": "everybody"}))
    for _ in range(2):
        before = told()
        await result_of(session, calling("toggle", {"what": "tool"}))
        await wait_until(lambda before=before: told() > before, describing="the change")


@pytest.mark.spec("2025-11-25 basic/lifecycle#shutdown")
async def test_a_call_ends_with_the_pipe_and_a_task_does_not(sqlite_stack: Stack, sqlite_notes: Notes):
    pipe = sqlite_stack.pipe()
    await result_of(pipe, initialize("2025-11-25"))
    other = Notes(sqlite_stack.new_directory())
    created = await result_of(pipe, calling("hold", other.directory, task={}))
    pipe.send(calling("hold", sqlite_notes.directory))
    await sqlite_notes.seen("started")
    await other.seen("started")
    pipe.close()
    assert await pipe.started.ended() == 0
    await sqlite_notes.seen("stopped")
    assert other.lines("stopped") == []
    rows = await sqlite_stack.execute("SELECT status FROM task WHERE id = :id", id=created["task"]["taskId"])
    assert rows == [("working",)]
    other.leave("go")


@pytest.mark.spec(BATCHING)
async def test_a_batch_is_answered_as_one_where_the_revision_has_them(sqlite_stack: Stack, session: Pipe):
    pipe = sqlite_stack.pipe()
    await result_of(pipe, initialize("2025-03-26"))
    requests = [message("ping"), message("tools/list"), calling("greet", {"name": "Ann"})]
    pipe.write(as_line([*requests, {"jsonrpc": "2.0", "method": "notifications/whatever"}]))
    await wait_until(lambda: pipe.messages and pipe.batches, 30, describing="the answer to a batch")
    (batch,) = pipe.batches
    assert {answer["id"] for answer in batch} == {request["id"] for request in requests}
    pipe.close()
    assert await pipe.started.ended() == 0
    codes = [found["error"]["code"] for found in session.messages if "error" in found]
    session.write(as_line(requests))
    await wait_until(
        lambda: (
            [found["error"]["code"] for found in session.messages if "error" in found] == [*codes, -32600]
        ),
        describing="the refusal of a batch",
    )
