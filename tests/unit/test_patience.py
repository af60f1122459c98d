"""Clients that are slow on purpose, against a real server with little patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from tasks_server.listener import listen
from tasks_server.protocol.bell import Bell
from tasks_server.serve import HttpServer
from tasks_server.transport import patience
from tasks_server.transport.guards import BodyTooSlow, read_body
from tasks_server.transport.load import Load
from tests.support.waiting import wait_until

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HEAD = b"POST / HTTP/1.1\r\nHost: here\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nhi"


async def _answer(request: Request) -> Response:
    try:
        return PlainTextResponse(
            f"heard {(await read_body(request, 1_000, Load(10, 10_000).admit())).decode()}",
            headers={"X-Heard": request.headers.get("x-told", "")},
        )
    except BodyTooSlow:
        return PlainTextResponse("too slow", 408, {"Connection": "close"})


async def _much(_: Request) -> Response:
    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(50):  # more than the buffers between two sockets hold
            yield bytes(1_000_000)

    return StreamingResponse(zeros())


async def _until_gone(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    departure: Bell = scope["state"][patience.DEPARTURE]
    while (
        not departure.is_set()
    ):  # nothing is read behind a request that was sent ahead; a write meets the reset
        await send({"type": "http.response.body", "body": b".", "more_body": True})
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Server:
    http: HttpServer
    port: int

    @property
    def connections(self) -> int:
        return len(self.http.server_state.connections)


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    app = Starlette(
        routes=[
            Route("/", _answer, methods=["POST"]),
            Route("/much", _much),
            Mount("/until-gone", _until_gone),
        ]
    )
    with listen("127.0.0.1", 0) as listener:
        http = HttpServer(app, listener)
        serving = asyncio.create_task(http.run_until_stopped())
        yield Server(http, listener.getsockname()[1])
        http.should_exit = True
        await serving


@pytest.fixture
def port(server: Server) -> int:
    return server.port


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", HEAD, WHOLE, WHOLE + HEAD])
async def test_a_request_that_does_not_come_is_not_waited_for(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.2)
    async with connected(port) as (reader, writer), asyncio.timeout(4):  # uvicorn itself takes 5 s, if any
        writer.write(sent)
        heard = await reader.read()
    assert heard.count(b"heard hi") == (sent.startswith(WHOLE))


@pytest.mark.parametrize("before", [b"", WHOLE, WHOLE * 3])
async def test_a_head_without_end_is_not_kept(
    port: int, before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind requests that are being worked on."""
    monkeypatch.setattr(patience, "HEAD_BYTES", 1_000)
    async with connected(port) as (reader, writer), asyncio.timeout(10):
        writer.write(before + HEAD + b"Name: " + b"x" * 1_000)
        heard = await reader.read()
    assert heard.count(b" 400 ") == 1
    assert b"longer than 1000 bytes" in heard


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"


@pytest.mark.parametrize(("first", "more"), [(b"", b"Name: value\r\n" * 100), (b"Name: ", b"x" * 10_000)])
async def test_trailers_without_end_are_not_taken(
    server: Server, first: bytes, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small ones, or one that never ends."""
    monkeypatch.setattr(patience, "HEAD_BYTES", 1_000)
    async with connected(server.port) as (reader, writer), asyncio.timeout(10):
        writer.write(CHUNKED + first)
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(more)
                await writer.drain()
    await wait_until(lambda: not server.connections, describing="the end of the connection")


@pytest.mark.parametrize("apart", [False, True])
async def test_trailers_are_no_headers(port: int, apart: bool) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(10):
        head, last = CHUNKED.split(b"hi")
        writer.write(head + b"hi")
        if apart:
            await asyncio.sleep(0.05)
        writer.write(last + b"X-Told: in a trailer\r\n\r\n")
        answer = await reader.readuntil(b"heard hi")
    assert b"in a trailer" not in answer


async def test_whoever_hangs_up_behind_a_request_that_was_sent_ahead_is_no_fault(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(server.port) as (reader, writer), asyncio.timeout(10):
        writer.write(b"GET /until-gone/ HTTP/1.1\r\nHost: here\r\n\r\n" + WHOLE)
        await reader.readuntil(b"begun")
        writer.transport.abort()
        await wait_until(lambda: not server.http.server_state.tasks, describing="the end of the requests")
    assert caplog.messages == []


async def test_requests_one_after_the_other_are_answered_however_long_it_takes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.5)
    async with connected(port) as (reader, writer), asyncio.timeout(20):
        for _ in range(4):
            writer.write(HEAD)
            await asyncio.sleep(0.2)
            writer.write(WHOLE.removeprefix(HEAD))
            await reader.readuntil(b"heard hi")


async def test_requests_sent_ahead_are_all_answered(port: int) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(10):
        writer.write(WHOLE * 5)
        for _ in range(5):
            await reader.readuntil(b"heard hi")


async def test_a_body_that_stops_coming_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENCE_SECONDS", 0.2)
    async with connected(port) as (reader, writer), asyncio.timeout(4):
        writer.write(HEAD + b"Content-Length: 100\r\n\r\nnot all")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        await reader.read()


async def test_a_body_that_drips_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TRANSFER_SECONDS", 0.5)
    async with connected(port) as (reader, writer), asyncio.timeout(10):
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n")
        answer = asyncio.ensure_future(reader.readline())
        while not answer.done():
            writer.write(b".")
            await asyncio.wait({answer}, timeout=0.05)
        assert answer.result().startswith(b"HTTP/1.1 408")


async def test_an_answer_nobody_reads_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TRANSFER_SECONDS", 0.2)
    async with connected(server.port) as (_, writer):
        writer.write(b"GET /much HTTP/1.1\r\nHost: here\r\n\r\n")
        await wait_until(lambda: server.connections == 1, 10, describing="the client is connected")
        await wait_until(lambda: server.connections == 0, 10, describing="the client is let go")
