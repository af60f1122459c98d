"""A server that is busy with as much as it takes says so at once, and is as before when it is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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
        self._writer, self._last = writer, last
        self._answer = asyncio.create_task(reader.readline())

    @property
    def is_sent_away(self) -> bool:
        """It has been answered before its end, or hung up on."""
        return self._answer.done()

    async def finish(self) -> int:
        """Send the rest; the status of the answer."""
        self._writer.write(self._last)
        return int((await self._answer).split()[1])

    async def close(self) -> None:
        self._writer.close()
        await asyncio.gather(self._answer, return_exceptions=True)


@asynccontextmanager
async def slow(wire: Wire, padding: int) -> AsyncGenerator[Slow]:
    url = urlsplit(wire.url)
    body = json.dumps(LIST.body).encode() + b" " * padding
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    headers = [f"{name}: {value.decode()}" for name, value in LIST.headers]
    head = [f"POST {url.path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Length: {len(body)}", *headers]
    writer.write("\r\n".join([*head, "", ""]).encode() + body[:-1])
    with suppress(ConnectionError):  # what is sent away may be so before it is out
        await writer.drain()
    request = Slow(reader, writer, body[-1:])
    try:
        yield request
    finally:
        await request.close()


async def sent_away(wire: Wire, request: Request) -> bool:
    response = await wire.post(request)
    if response.status_code == 200:
        return False
    assert (response.status_code, response.headers["retry-after"]) == BUSY
    assert response.json()["error"]["code"] == -32603
    return True


@asynccontextmanager
async def full(wire: Wire, count: int, padding: int, probe: Request) -> AsyncGenerator[list[Slow]]:
    """So many slow requests that the probe is sent away. One of them may have met the probe: it is sent again."""
    busy: list[Slow] = []
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(20):
            while not busy or not await sent_away(wire, probe):
                busy = [one for one in busy if not one.is_sent_away]
                while len(busy) < count:
                    busy.append(await stack.enter_async_context(slow(wire, padding)))
        yield busy


async def test_more_requests_than_a_server_takes_are_sent_away_and_the_others_answered(small: Wire):
    async with full(small, MOST, 0, LIST) as busy:
        assert await sent_away(small, calling("greet", {"name": "Ada"}))
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
    async with full(roomy, 8, MAX_REQUEST_BYTES - 2_000, large) as heavy:
        assert not await sent_away(roomy, LIST)
        assert [await one.finish() for one in heavy] == [200] * 8
    assert not await sent_away(roomy, large)
