"""What 2025-06-18 and 2025-03-26 did not know yet, and the batches that only 2025-03-26 knows."""

from __future__ import annotations

import json

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session
from tests.protocol.spec25.stream import Message

OLDER = ["2025-06-18", "2025-03-26"]
ASK = "elicitation/create"


@pytest.fixture(params=OLDER)
async def older(request: pytest.FixtureRequest, connect: Connect) -> Session:
    return await connect(version=request.param)


@pytest.fixture
async def oldest(connect: Connect) -> Session:
    return await connect(version="2025-03-26")


async def test_tasks_are_not_offered(older: Session):
    """2025-11-25 changelog: tasks are new. No capability, no `execution` of a tool."""
    assert "tasks" not in older.handshake["capabilities"]
    tools = (await older.request("tools/list")).result["tools"]
    assert tools
    assert not [tool for tool in tools if "execution" in tool]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel", "tasks/list"])
async def test_methods_of_tasks_are_unknown(older: Session, method: str):
    """JSON-RPC: -32601."""
    assert (await older.request(method, {"taskId": "any"})).code == -32601


async def test_a_wish_for_a_task_is_ignored(older: Session):
    """basic/utilities/tasks#task-support-and-handling: MUST process normally, ignoring the metadata."""
    assert (await older.call("succeed", task={"ttl": 1000})).text == "done"
    assert (await older.call("greet", {"name": "Ada"}, task={})).text == "Hello, Ada!"
    assert (await older.call("succeed", task="nonsense")).text == "done"


async def test_a_tool_that_requires_a_task_just_runs(older: Session):
    """basic/utilities/tasks#task-support-and-handling: nobody could ask for one."""
    assert (await older.call("only_as_task")).text == "done"


async def test_streams_begin_with_a_message(older: Session, notes: Notes):
    """2025-11-25 changelog: priming events are new; an older client would read an empty message."""
    notes.leave("go")
    async with older.stream(older.calling("report", notes.directory)) as stream:
        await stream.reply()
    assert [event for event in stream.events if not event.data and not event.is_comment] == []


async def test_hanging_up_does_not_cancel(older: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server, of all revisions with sessions."""
    async with older.stream(older.calling("hold", notes.directory)):
        await notes.seen("started")
    notes.leave("go")
    assert (await older.request("ping")).result == {}
    assert notes.lines("stopped") == []


async def test_a_call_is_cancelled(older: Session, notes: Notes):
    """basic/utilities/cancellation."""
    message = older.calling("hold", notes.directory)
    async with older.stream(message) as stream:
        await notes.seen("started")
        await older.notify("notifications/cancelled", {"requestId": message["id"]})
        await notes.seen("stopped")
        await stream.end()
    assert stream.responses == []


async def test_forms_are_asked_since_2025_06_18(connect: Connect, notes: Notes):
    """2025-06-18 client/elicitation: a form without a mode."""
    session = await connect({"elicitation": {}}, version="2025-06-18")
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        question = await stream.next(ASK)
        assert question["params"].keys() <= {"message", "requestedSchema", "_meta"}
        await session.accept(question, name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"


async def test_pages_are_not_asked_for_before_2025_11_25(connect: Connect):
    """2025-11-25 changelog: URL mode is new, whatever the client says."""
    session = await connect(version="2025-06-18")
    reply = await session.call("ask_on_a_page")
    assert reply.before == []
    assert "error" in reply.message or reply.result["isError"] is True


async def test_nothing_is_asked_in_forms_before_2025_06_18(oldest: Session, notes: Notes):
    """2025-06-18 changelog: elicitation is new, whatever the client says."""
    reply = await oldest.call("ask_twice", notes.directory)
    assert reply.before == []
    assert "error" in reply.message or reply.result["isError"] is True


async def test_structure_is_text_before_2025_06_18(oldest: Session):
    """2025-06-18 changelog: structured content, resource links and titles are new."""
    result = (await oldest.call("middle", {"a": {"x": 0, "y": 0}, "b": {"x": 2, "y": 4}})).result
    assert json.loads(result["content"][0]["text"]) == {"x": 1, "y": 2}
    assert "structuredContent" not in result
    kept = (await oldest.call("keep_text", {"name": "a.txt", "text": "kept"})).result
    assert {block["type"] for block in kept["content"]} <= {"text", "image", "audio", "resource"}
    for tool in (await oldest.request("tools/list")).result["tools"]:
        assert not {"outputSchema", "title", "icons"} & tool.keys(), tool["name"]


async def test_the_version_is_that_of_the_session(connect: Connect):
    """2025-03-26 knows no version header (the client sends none); 2025-06-18 wants it."""
    newer = await connect(version="2025-06-18")
    response = await newer.post(newer.message("ping"), MCP_Protocol_Version="1999-01-01")
    assert response.status_code == 400


# --- batches -------------------------------------------------------------------------------------------------------


async def test_a_batch_is_answered_in_full(oldest: Session):
    """2025-03-26 basic/index#batching: MUST support receiving; one response per request."""
    requests = [oldest.message("ping"), oldest.calling("succeed"), oldest.message("no/such")]
    requests.append(oldest.calling("fail"))
    async with oldest.stream(*requests, oldest.message("notifications/not/known", id=None)) as stream:
        assert stream.http.status_code == 200
        await stream.end()
    answers = {response["id"]: response for response in stream.responses}
    assert len(stream.responses) == len(requests)
    ping, call, unknown, failing = (answers[request["id"]] for request in requests)
    assert ping["result"] == {}
    assert call["result"]["content"][0]["text"] == "done"
    assert unknown["error"]["code"] == -32601
    assert failing["result"]["isError"] is True


async def test_a_batch_may_ask_on_the_way(connect: Connect):
    """2025-03-26 basic/transports#sending-messages-to-the-server: requests before the responses."""
    session = await connect({"sampling": {}}, version="2025-03-26")
    async with session.stream(session.calling("sample"), session.message("ping")) as stream:
        asked = await stream.next("sampling/createMessage")
        answer = {"role": "assistant", "content": {"type": "text", "text": "Hi."}, "model": "small"}
        await session.answer(asked, answer)
        await stream.end()
    assert len(stream.responses) == 2


async def test_a_batch_of_notifications_or_responses_is_acknowledged(oldest: Session):
    """2025-03-26 basic/transports#sending-messages-to-the-server: 202 without a body."""
    notification = oldest.message("notifications/roots/list_changed", id=None)
    await oldest.accepted([notification, notification])


async def test_a_question_is_answered_in_a_batch(connect: Connect):
    """2025-03-26 basic/transports#sending-messages-to-the-server: an array of responses."""
    session = await connect({"roots": {}}, version="2025-03-26")
    async with session.stream(session.calling("list_roots")) as stream:
        asked = await stream.next("roots/list")
        result = {"roots": [{"uri": "file:///tmp"}]}
        await session.accepted([{"jsonrpc": "2.0", "id": asked["id"], "result": result}])
        assert (await stream.reply()).text == "file:///tmp"


async def test_an_empty_batch_is_refused(oldest: Session):
    """JSON-RPC: an invalid request, -32600."""
    response = await oldest.post([])
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32600


async def test_a_batch_with_something_else_in_it(oldest: Session):
    """JSON-RPC: -32600 for that one, or for all; never silence."""
    response = await oldest.post([1, {"jsonrpc": "2.0", "id": 1, "method": "ping"}])
    answered: Message | list[Message] = response.json()
    answers = answered if isinstance(answered, list) else [answered]
    codes = [one["error"]["code"] for one in answers if "error" in one]
    assert codes == [-32600]


async def test_the_handshake_is_never_in_a_batch(stack: Stack, oldest: Session):
    """2025-03-26 basic/lifecycle#initialization: MUST NOT be part of a batch."""
    params = {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "a", "version": "1"},
    }
    response = await oldest.post([oldest.message("initialize", params)], MCP_Session_Id=None)
    assert "mcp-session-id" not in response.headers
    assert response.status_code == 400


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
async def test_later_revisions_know_no_batches(connect: Connect, version: str):
    """2025-06-18 changelog: removed."""
    session = await connect(version=version)
    response = await session.post([session.message("ping")])
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32600
