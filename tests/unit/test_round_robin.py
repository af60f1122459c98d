"""The load balancer that the other suites put before several servers: does it really not stick?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest

from tests.support.processes import ProcessStarter, silent_port
from tests.support.serving import ROOT

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Backend:
    """A server that begins each answer with its name, and ends it when it may. `requests`: what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[str] = []
        self.may_end = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = await reader.readexactly(
            int(head.lower().partition("content-length: ")[2].split("\r")[0] or 0)
        )
        self.requests.append(head.split(" HTTP/")[0] + body.decode())
        writer.write(HEAD + self.name.encode())
        ending = asyncio.create_task(self.may_end.wait())
        hanging_up = asyncio.create_task(reader.read())
        await asyncio.wait({ending, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        if hanging_up.done():
            self.hung_up.set()
        ending.cancel()
        hanging_up.cancel()
        writer.close()


@asynccontextmanager
async def running(*backends: Backend) -> AsyncGenerator[list[str]]:
    async with AsyncExitStack() as stack:
        urls: list[str] = []
        for backend in backends:
            server = await stack.enter_async_context(
                await asyncio.start_server(backend.answer, "127.0.0.1", 0)
            )
            urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield urls


@asynccontextmanager
async def balanced(start: ProcessStarter, *urls: str) -> AsyncGenerator[httpx2.AsyncClient]:
    balancer = start.start(sys.executable, "-m", "tests.support.round_robin", *urls, cwd=ROOT)
    url = (await balancer.line(r"http://[\d.]+:\d+"))[0]
    async with httpx2.AsyncClient(base_url=url, timeout=10) as http:
        yield http


@pytest.fixture
def backends() -> tuple[Backend, Backend]:
    first, second = Backend("first"), Backend("second")
    first.may_end.set()
    second.may_end.set()
    return first, second


async def test_requests_of_one_client_go_to_every_server_in_turn(
    start: ProcessStarter, backends: tuple[Backend, Backend]
):
    first, second = backends
    async with running(first, second) as urls, balanced(start, *urls) as http:
        answers = [
            (await http.request(method, "/mcp?a=b", headers={"mcp-session-id": "one"})).text
            for method in ("POST", "GET", "DELETE", "GET")
        ]
        await http.post("/messages", content=b"{}")
    assert answers == ["first", "second", "first", "second"]
    assert first.requests == ["POST /mcp?a=b", "DELETE /mcp?a=b", "POST /messages{}"]
    assert second.requests == ["GET /mcp?a=b", "GET /mcp?a=b"]


async def test_chunks_pass_before_the_answer_ends_and_so_does_hanging_up(start: ProcessStarter):
    slow = Backend("slow")
    async with running(slow) as urls, balanced(start, *urls) as http:
        async with http.stream("GET", "/mcp") as response:
            assert await anext(response.aiter_text()) == "slow"
        async with asyncio.timeout(10):
            await slow.hung_up.wait()


async def test_a_server_that_is_gone_is_passed_over(start: ProcessStarter, backends: tuple[Backend, Backend]):
    first, _ = backends
    with silent_port() as held:
        gone = f"http://127.0.0.1:{held.getsockname()[1]}"
        async with running(first) as urls, balanced(start, gone, *urls) as http:
            assert [(await http.get("/mcp")).text for _ in range(2)] == ["first", "first"]
        async with balanced(start, gone, gone) as http:
            assert (await http.get("/mcp")).status_code == 502
