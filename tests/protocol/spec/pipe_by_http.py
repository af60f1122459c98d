"""A client of the HTTP+SSE transport: one stream from one server, messages to any."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx2

from tests.protocol.spec.sse import Event, events
from tests.protocol.spec.wire import TIMEOUT_SECONDS
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}


def sse_of(url: str) -> str:
    """The URL of the stream of the server whose MCP endpoint this is."""
    return urljoin(url, "/sse")


@dataclass
class PipeByHttp:
    """events: all that have come, comments left out. messages: those that are JSON-RPC."""

    http: httpx2.AsyncClient
    url: str
    events: list[Event] = field(default_factory=list[Event])
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    batches: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    is_over: bool = False
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def read(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for event in events(chunks):
                if event.is_comment:
                    continue
                self.events.append(event)
                if len(self.events) > 1:
                    message: Any = json.loads(event.data)
                    (self.batches if event.data.startswith("[") else self.messages).append(message)
        finally:
            self.is_over = True

    async def post(self, message: Any, to: str | None = None) -> httpx2.Response:
        """Post to the server that holds the stream, or to the one whose MCP endpoint is given."""
        await wait_until(lambda: self.events, TIMEOUT_SECONDS, describing="the endpoint")
        target = urljoin(to or self.url, self.events[0].data)
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.http.post(target, content=content, headers=JSON)

    async def send(self, message: Any, to: str | None = None) -> None:
        taken = await self.post(message, to)
        assert (taken.status_code, taken.content) == (202, b""), taken.text

    async def begin(self, method: str, params: dict[str, Any] | None = None, to: str | None = None) -> int:
        """Send a request; its id."""
        request_id = next(self._ids)
        await self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}, to)
        return request_id

    async def notify(self, method: str, params: dict[str, Any], to: str | None = None) -> None:
        await self.send({"jsonrpc": "2.0", "method": method, "params": params}, to)

    async def answer(self, question: dict[str, Any], result: dict[str, Any], to: str | None = None) -> None:
        await self.send({"jsonrpc": "2.0", "id": question["id"], "result": result}, to)

    async def response(self, request_id: int) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answers = [
                each for each in self.messages if each.get("id") == request_id and "method" not in each
            ]
            return answers[0] if answers else None

        return await self._came(look, f"the response to {request_id}")

    async def request(
        self, method: str, params: dict[str, Any] | None = None, to: str | None = None
    ) -> dict[str, Any]:
        """The result of a request."""
        answer = await self.response(await self.begin(method, params, to))
        assert "result" in answer, answer
        return answer["result"]

    async def call(self, tool: str, to: str | None = None, **arguments: Any) -> str:
        """The text of a tool's result."""
        result = await self.request("tools/call", {"name": tool, "arguments": arguments}, to)
        return result["content"][0]["text"]

    async def handshake(
        self, version: str = "2024-11-05", to: str | None = None, **capabilities: Any
    ) -> dict[str, Any]:
        params = {
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": {"name": "old", "version": "1"},
        }
        result = await self.request("initialize", params, to)
        await self.notify("notifications/initialized", {}, to)
        return result

    async def first(self, method: str) -> dict[str, Any]:
        """The first request or notification of this kind."""
        return await self._came(lambda: next(iter(self.of(method)), None), f"a message {method}")

    def of(self, method: str) -> list[dict[str, Any]]:
        return [each for each in self.messages if each.get("method") == method]

    async def over(self) -> None:
        await wait_until(lambda: self.is_over, TIMEOUT_SECONDS, describing="the end of the stream")

    async def _came(self, look: Any, what: str) -> dict[str, Any]:
        return await wait_until(look, TIMEOUT_SECONDS, describing=what)


@asynccontextmanager
async def open_pipe(http: httpx2.AsyncClient, url: str) -> AsyncGenerator[PipeByHttp]:
    """Leaving the block hangs up."""
    async with http.stream("GET", sse_of(url), headers={"Accept": "text/event-stream"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        pipe = PipeByHttp(http, url)
        reading = asyncio.create_task(pipe.read(response.aiter_bytes()))
        try:
            yield pipe
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
