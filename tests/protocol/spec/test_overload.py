"""A server that is busy with as much as it takes says so at once, and is as before when it is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.protocol.spec.requests import Request, calling
from tests.protocol.spec.stack import MAX_REQUEST_BYTES, ON_ONE_DATABASE, Stack, endpoint
from tests.protocol.spec.wire import Wire

pytestmark = ON_ONE_DATABASE

MOST = 2
LIST = Request.of("tools/list")
BUSY = (503, "1")


@pytest.fixture
async def small(stack: Stack, http: httpx2.AsyncClient) -> AsyncGenerator[Wire]:
    server = stack.serve(TASKS_MAX_CONCURRENT_REQUESTS=str(MOST))
    yield Wire(http, await endpoint(server))
    await server.stop()


@pytest.fixture
async def roomy(stack: Stack, http: httpx2.AsyncClient) -> AsyncGenerator[Wire]:
    server = stack.serve()
    yield Wire(http, await endpoint(server))
    await server.stop()


class Slow:
    """A request of which everything but the last byte has been sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: bytes) -> None:
        self._reader, self._writer, self._last = reader, writer, last

    async def finish(self) -> int:
        """Send the rest; the status of the answer."""
        self._writer.write(self._last)
        return int((await self._reader.readline()).split()[1])


@asynccontextmanager
async def slow(wire: Wire, padding: int = 0) -> AsyncGenerator[Slow]:
    url = urlsplit(wire.url)
    body = json.dumps(LIST.body).encode() + b" " * padding
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    headers = [f"{name}: {value.decode()}" for name, value in LIST.headers]
    head = [f"POST {url.path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}", *headers]
    writer.write("\r\n".join([*head, "", ""]).encode() + body[:-1])
    await writer.drain()
    try:
        yield Slow(reader, writer, body[-1:])
    finally:
        writer.close()


async def sent_away(wire: Wire, request: Request) -> bool:
    response = await wire.post(request)
    if response.status_code == 200:
        return False
    assert (response.status_code, response.headers["retry-after"]) == BUSY
    assert response.json()["error"]["code"] == -32603
    return True


async def until_sent_away(wire: Wire, request: Request) -> None:
    """What the slow ones have sent has to be read first."""
    async with asyncio.timeout(10):
        while not await sent_away(wire, request):
            pass


async def test_more_requests_than_a_server_takes_are_sent_away_and_the_others_answered(small: Wire):
    async with AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(slow(small)) for _ in range(MOST)]
        await until_sent_away(small, LIST)
        await until_sent_away(small, calling("greet", {"name": "Ada"}))
        assert [await one.finish() for one in busy] == [200] * MOST
    assert not await sent_away(small, LIST)


async def test_open_streams_are_no_load(small: Wire):
    async with AsyncExitStack() as stack:
        for _ in range(MOST + 1):
            listening = Request.of("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            stream = await stack.enter_async_context(small.stream(listening))
            await stream.next("notifications/subscriptions/acknowledged")
        assert not await sent_away(small, LIST)


async def test_more_bytes_than_a_server_holds_are_sent_away(roomy: Wire):
    large = Request.of("tools/list", {"_meta": {"padding": "x" * (MAX_REQUEST_BYTES // 2)}})
    async with AsyncExitStack() as stack:
        heavy = [await stack.enter_async_context(slow(roomy, MAX_REQUEST_BYTES - 2_000)) for _ in range(8)]
        await until_sent_away(roomy, large)
        assert not await sent_away(roomy, LIST)
        assert [await one.finish() for one in heavy] == [200] * 8
    assert not await sent_away(roomy, large)
