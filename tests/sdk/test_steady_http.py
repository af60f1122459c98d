"""A request is sent again until it is answered, unless that could do it twice."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tasks_server.client import SteadyHttpClient
from tests.support.processes import silent_port

VERSION = {"MCP-Protocol-Version": "2026-07-28"}
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
WITH_TASKS: dict[str, Any] = {CAPABILITIES: {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
CONNECTION_CLOSED = -32000

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
BROKEN_OFF = OK[:-1]
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOTHING = b""


class Server:
    """Answers one request after the other with these bytes, then closes the connection. The last serves for ever."""

    def __init__(self) -> None:
        self.answers: list[bytes] = [OK]
        self.keys: list[str | None] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def listen(self, held: socket.socket | None = None) -> asyncio.Server:
        where: dict[str, Any] = {"host": "127.0.0.1", "port": 0} if held is None else {"sock": held}
        server = await asyncio.start_server(self._answer, **where)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
        await reader.readexactly(int(headers["content-length"]))
        self.keys.append(headers.get("idempotency-key"))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with await server.listen():
        yield server


async def send(
    server: Server, method: str, meta: dict[str, Any] | None = None, **options: Any
) -> httpx2.Response:
    """As the SDK sends it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta or {}}}
    async with SteadyHttpClient(**options) as http:
        return await http.post(server.url, json=body, headers={**VERSION, "Mcp-Method": method})


def refused(response: httpx2.Response) -> bool:
    """Whether the one who waits for this request is told that the connection is gone."""
    return response.status_code == 503 and json.loads(response.content)["error"]["code"] == CONNECTION_CLOSED


async def test_what_does_no_harm_is_sent_until_it_is_answered(server: Server) -> None:
    server.answers = [NOTHING, BROKEN_OFF, BAD_GATEWAY, OK]
    assert (await send(server, "tasks/get")).status_code == 200
    assert len(server.keys) == 4


async def test_a_call_that_may_become_a_task_is_sent_again_under_one_key(server: Server) -> None:
    server.answers = [NOTHING, BROKEN_OFF, BAD_GATEWAY, OK]
    assert (await send(server, "tools/call", WITH_TASKS)).status_code == 200
    assert len(server.keys) == 4
    assert None not in server.keys
    assert len(set(server.keys)) == 1


async def test_two_calls_have_two_keys(server: Server) -> None:
    await send(server, "tools/call", WITH_TASKS)
    await send(server, "tools/call", WITH_TASKS)
    assert len(set(server.keys)) == 2


async def test_a_key_of_the_callers_own_is_as_good(server: Server) -> None:
    server.answers = [NOTHING, OK]
    own: dict[str, Any] = {**WITH_TASKS, "tasks-server/idempotencyKey": "mine"}
    assert (await send(server, "tools/call", own)).status_code == 200
    assert server.keys == [None, None]


@pytest.mark.parametrize("answer", [NOTHING, BROKEN_OFF])
async def test_a_call_without_a_key_is_not_made_twice(server: Server, answer: bytes) -> None:
    server.answers = [answer, OK]
    assert refused(await send(server, "tools/call"))
    assert server.keys == [None]


async def test_keys_can_be_done_without(server: Server) -> None:
    server.answers = [NOTHING, OK]
    assert refused(await send(server, "tools/call", WITH_TASKS, keys=False))
    assert server.keys == [None]


async def test_a_refused_connection_is_tried_again_whatever_was_to_be_sent() -> None:
    with silent_port() as held:
        server = Server()
        server.port = held.getsockname()[1]
        sending = asyncio.create_task(send(server, "tools/call"))
        await asyncio.sleep(0)
        async with await server.listen(held):
            assert (await sending).status_code == 200


async def test_patience_ends() -> None:
    with silent_port() as held:
        server = Server()
        server.port = held.getsockname()[1]
        assert refused(await send(server, "tasks/get", patience_seconds=0.2))


async def test_the_first_request_of_a_connection_fails_as_it_does_in_the_sdk(server: Server) -> None:
    server.answers = [NOTHING, OK]
    with pytest.raises(httpx2.RemoteProtocolError):
        await send(server, "server/discover")
    assert len(server.keys) == 1
