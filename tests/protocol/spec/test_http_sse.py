"""HTTP with SSE as 2024-11-05 has it: the stream at one server, messages at any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.pipe_by_http import JSON, PipeByHttp, open_pipe, sse_of
from tests.protocol.spec.stack import MAX_REQUEST_BYTES, ON_ONE_DATABASE, Stack, endpoint
from tests.protocol.spec.wire import Wire
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

TRANSPORT = "2024-11-05/basic/transports#http-with-sse"
SAID = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hello!"}}
AGREED = {"action": "accept", "content": {"ok": True}}

pytestmark = pytest.mark.spec(TRANSPORT)


@pytest.fixture
async def pipe(wire: Wire) -> AsyncIterator[PipeByHttp]:
    """A stream of the first server."""
    async with open_pipe(wire.http, wire.url) as opened:
        yield opened


@pytest.fixture(params=["here", "elsewhere"])
def to(request: pytest.FixtureRequest, stack: Stack) -> str:
    """The server that messages go to: the one that holds the stream, or the other."""
    return stack.url if request.param == "here" else stack.other_url


async def test_the_first_event_says_where_to_post(pipe: PipeByHttp):
    await pipe.handshake()
    assert pipe.events[0].fields[0] == ("event", "endpoint")
    assert pipe.events[0].data.startswith("/messages?session_id=")
    assert all(event.names == {"data"} for event in pipe.events[1:])


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_client_gets_the_revision_that_it_asks_for(pipe: PipeByHttp, to: str, version: str):
    result = await pipe.handshake(version, to)
    assert result["protocolVersion"] == version
    assert ("completions" in result["capabilities"]) == (version != "2024-11-05")
    assert ("tasks" in result["capabilities"]) == (version == "2025-11-25")
    assert await pipe.request("ping", to=to) == {}


async def test_before_the_handshake_there_is_nothing_but_ping(pipe: PipeByHttp, to: str):
    assert await pipe.request("ping", to=to) == {}
    assert "error" in await pipe.response(await pipe.begin("tools/list", to=to))


async def test_answers_come_over_the_stream_wherever_the_message_went(pipe: PipeByHttp, to: str):
    await pipe.handshake(to=to)
    tools = (await pipe.request("tools/list", to=to))["tools"]
    assert "hold" in [tool["name"] for tool in tools]
    assert await pipe.call("greet", to, name="Ann") == "Hello, Ann!"
    assert (await pipe.request("resources/read", {"uri": "spec://text"}, to))["contents"][0][
        "text"
    ] == "It rains."
    assert (await pipe.response(await pipe.begin("nothing", to=to)))["error"]["code"] == -32601


async def test_a_large_call_and_its_large_result_arrive(pipe: PipeByHttp, to: str):
    await pipe.handshake(to=to)
    text = "x" * 100_000
    assert await pipe.call("succeed", to, text=text) == text
    kept = await pipe.call("keep_bytes", to, name="large", size=3_000_000)
    (contents,) = (await pipe.request("resources/read", {"uri": kept}, to))["contents"]
    assert len(contents["blob"]) == 4_000_000


async def test_progress_and_log_lines_come_while_the_tool_works(pipe: PipeByHttp, to: str, notes: Notes):
    await pipe.handshake(to=to)
    await pipe.request("logging/setLevel", {"level": "alert"}, to)
    meta = {"progressToken": "mine"}
    params = {"name": "report", "arguments": notes.directory, "_meta": meta}
    request_id = await pipe.begin("tools/call", params, to)
    await notes.seen("reported")
    await wait_until(lambda: len(pipe.of("notifications/message")) == 2, describing="the log lines")
    told = [each["params"] for each in pipe.of("notifications/progress")]
    assert [each["progress"] for each in told] == [1, 2, 3]
    assert told[0] == {"progressToken": "mine", "progress": 1, "total": 3}
    notes.leave("go")
    assert "result" in await pipe.response(request_id)


async def test_a_question_may_be_answered_anywhere(pipe: PipeByHttp, to: str):
    await pipe.handshake(to=to, sampling={})
    request_id = await pipe.begin("tools/call", {"name": "sample", "arguments": {}}, to)
    question = await pipe.first("sampling/createMessage")
    await pipe.answer(question, SAID, to)
    assert (await pipe.response(request_id))["result"]["content"][0]["text"] == "Hello!"


async def test_a_call_may_be_cancelled_from_anywhere(pipe: PipeByHttp, to: str, notes: Notes):
    await pipe.handshake(to=to)
    request_id = await pipe.begin("tools/call", {"name": "hold", "arguments": notes.directory}, to)
    await notes.seen("started")
    await pipe.notify("notifications/cancelled", {"requestId": request_id}, to)
    await notes.seen("stopped")
    await pipe.request("ping", to=to)
    assert request_id not in [each.get("id") for each in pipe.messages]


async def test_a_batch_is_answered_where_the_revision_has_them(pipe: PipeByHttp, to: str):
    await pipe.handshake("2025-03-26", to)
    pings = [{"jsonrpc": "2.0", "id": f"p{number}", "method": "ping"} for number in (1, 2)]
    await pipe.send(pings, to)
    batches = await wait_until(lambda: pipe.batches, describing="the batch")
    assert sorted(each["id"] for each in batches[0]) == ["p1", "p2"]


async def test_tasks_of_a_newer_revision_are_told_of_and_outlive_the_stream(
    stack: Stack, wire: Wire, to: str, notes: Notes
):
    async with open_pipe(wire.http, stack.url) as pipe:
        await pipe.handshake("2025-11-25", to)
        params = {"name": "hold", "arguments": notes.directory, "task": {}}
        created = await pipe.request("tools/call", params, to)
        task_id = created["task"]["taskId"]
        waiting = await pipe.begin("tasks/result", {"taskId": task_id}, to)
        notes.leave("go")
        assert (await pipe.response(waiting))["result"]["content"][0]["text"] == "held"
        statuses = lambda: [each["params"]["status"] for each in pipe.of("notifications/tasks/status")]  # noqa: E731
        await wait_until(lambda: "completed" in statuses(), describing="the status")
    async with open_pipe(wire.http, stack.url) as pipe:
        await pipe.handshake("2025-11-25", to)
        assert (await pipe.request("tasks/get", {"taskId": task_id}, to))["status"] == "completed"


async def test_the_end_of_the_stream_is_the_end_of_the_session(stack: Stack, wire: Wire, notes: Notes):
    async with open_pipe(wire.http, stack.url) as pipe:
        await pipe.handshake()
        await pipe.begin("tools/call", {"name": "hold", "arguments": notes.directory}, stack.other_url)
        await notes.seen("started")
    await notes.seen("stopped")
    await wait_until(lambda: _is_gone(pipe), describing="the end of the session")
    for url in (stack.url, stack.other_url):
        for message in ({"id": 9, "method": "ping"}, {"method": "notifications/initialized"}):
            assert (await pipe.post({"jsonrpc": "2.0", **message}, url)).status_code == 404


async def test_a_call_with_an_idempotency_key_goes_on_without_its_stream(
    stack: Stack, wire: Wire, notes: Notes
):
    keyed = {
        "name": "hold",
        "arguments": notes.directory,
        "_meta": {"tasks-server/idempotencyKey": notes.directory["directory"]},
    }
    async with open_pipe(wire.http, stack.url) as pipe:
        await pipe.handshake()
        await pipe.begin("tools/call", keyed)
        (task_id,) = await notes.seen("started")
    await wait_until(lambda: _is_gone(pipe), describing="the end of the session")
    asked_to_stop = "SELECT cancel_requested_at FROM task WHERE id = :id"
    assert await stack.execute(asked_to_stop, id=task_id) == [(None,)]
    notes.leave("go")
    async with open_pipe(wire.http, stack.url) as pipe:
        await pipe.handshake()
        assert (await pipe.request("tools/call", keyed))["content"][0]["text"] == "held"


async def _is_gone(pipe: PipeByHttp) -> bool:
    return (await pipe.post({"jsonrpc": "2.0", "method": "notifications/x"})).status_code == 404


@ON_ONE_DATABASE
async def test_messages_that_are_none_are_refused_at_once(pipe: PipeByHttp, to: str):
    for body in (b"{", b"1", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":true,"method":"ping"}'):
        refused = await pipe.post(body, to)
        assert refused.status_code == 400
        assert "error" in refused.json()
    assert (await pipe.post(b" " * (MAX_REQUEST_BYTES + 1), to)).status_code == 413


@ON_ONE_DATABASE
@pytest.mark.parametrize("query", ["", "?session_id=", "?session_id=made-up", "?session=x"])
async def test_a_session_that_nobody_has_begun_is_not_found(wire: Wire, query: str):
    url = urljoin(wire.url, f"/messages{query}")
    answer = await wire.http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert answer.status_code == 404


@ON_ONE_DATABASE
async def test_requests_of_another_kind_are_refused(pipe: PipeByHttp, wire: Wire):
    messages = urljoin(wire.url, "/messages")
    assert (await wire.http.post(sse_of(wire.url), json={})).status_code == 405
    assert (await wire.http.head(sse_of(wire.url))).status_code == 405
    assert (await wire.http.get(messages)).status_code == 405
    assert (await wire.http.get(sse_of(wire.url), headers={"Accept": "text/html"})).status_code == 406
    assert (
        await wire.http.post(messages, content="{}", headers={"Content-Type": "text/plain"})
    ).status_code == 415


@ON_ONE_DATABASE
@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
async def test_foreign_pages_get_neither_stream_nor_messages(wire: Wire, header: dict[str, str]):
    assert (await wire.http.get(sse_of(wire.url), headers=header)).status_code == 403
    posted = await wire.http.post(urljoin(wire.url, "/messages"), content="{}", headers={**JSON, **header})
    assert posted.status_code == 403


@ON_ONE_DATABASE
async def test_a_server_that_stops_answers_what_is_left(stack: Stack, wire: Wire, notes: Notes):
    server = stack.serve()
    async with open_pipe(wire.http, await endpoint(server)) as pipe:
        await pipe.handshake("2025-11-25")
        params = {"name": "hold", "arguments": notes.directory}
        request_id = await pipe.begin("tools/call", params, stack.other_url)
        await notes.seen("started")
        stopping = asyncio.create_task(server.stop())
        assert "shutting down" in (await pipe.response(request_id))["error"]["message"]
        await pipe.over()
        assert await stopping == 0
    await notes.seen("stopped")
    assert (
        await pipe.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}, stack.other_url)
    ).status_code == 404


@ON_ONE_DATABASE
async def test_a_message_for_a_server_that_has_died_is_refused(stack: Stack, http: httpx2.AsyncClient):
    server = stack.serve()
    async with AsyncExitStack() as opened:
        pipe = await opened.enter_async_context(open_pipe(http, await endpoint(server)))
        await pipe.handshake()
        server.destroy()
        await pipe.over()
        refused = await pipe.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}, stack.other_url)
    assert refused.status_code == 503
    assert refused.json()["id"] == 9
    assert "does not answer" in refused.json()["error"]["message"]


async def test_while_redis_is_away_what_cannot_be_passed_on_is_refused_at_once(
    sqlite_url: str, valkey: ValkeyServer, http: httpx2.AsyncClient, tmp_path: Path
):
    stack = Stack(tmp_path, sqlite_url, valkey)
    try:
        servers = stack.serve(), stack.serve()
        here, elsewhere = [await endpoint(server) for server in servers]
        async with open_pipe(http, here) as pipe:
            await pipe.handshake(to=elsewhere)
            valkey.kill()
            for server in servers:
                await server.line("Redis is not reachable")
            refused = await pipe.post({"jsonrpc": "2.0", "id": 9, "method": "ping"}, elsewhere)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["id"] == 9
            assert "Redis" in refused.json()["error"]["message"]
            assert await pipe.request("ping", to=here) == {}
            await pipe.notify("notifications/cancelled", {"requestId": 9}, elsewhere)
            valkey.start()
            await wait_until(lambda: _takes(pipe, elsewhere), describing="a server that has Redis again")
    finally:
        stack.destroy()


async def _takes(pipe: PipeByHttp, to: str) -> bool:
    return (await pipe.post({"jsonrpc": "2.0", "id": 10, "method": "ping"}, to)).status_code == 202
