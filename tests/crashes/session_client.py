"""A client of 2025-11-25 whose servers die: it comes back to another one with the last event id that it has seen."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.protocol.spec.sse import events

VERSION = "2025-11-25"
TIMEOUT_SECONDS = 20.0
ACCEPTED: dict[str, Any] = {"action": "accept", "content": {}}

Message = dict[str, Any]


@dataclass
class Told:
    """What one connection has brought so far."""

    chunks: AsyncIterator[bytes]
    last_id: str = ""
    retry: str = ""
    messages: list[Message] = field(default_factory=list[Message])

    async def until(self, wanted: str) -> Message:
        """Read on to the next message with this method, or to the response."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async for message in self._read():
                if message.get("method", "response") == wanted:
                    return message
        raise AssertionError(f"the stream has ended without {wanted}: {self.messages}")

    async def primed(self) -> None:
        """Read on to the first event id."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            async for _ in self._read(stops_at_ids=True):
                if self.last_id:
                    return

    async def cut_off(self) -> None:
        """Read on until the connection breaks, or is closed."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                async for _ in self._read():
                    pass
            except (httpx2.TransportError, AssertionError):
                pass  # in the middle of an event, or of the chunked body

    @property
    def lines(self) -> list[Any]:
        return [
            each["params"]["data"] for each in self.messages if each.get("method") == "notifications/message"
        ]

    @property
    def progress(self) -> list[float]:
        return [
            each["params"]["progress"]
            for each in self.messages
            if each.get("method") == "notifications/progress"
        ]

    @property
    def questions(self) -> list[str]:
        return [each["id"] for each in self.messages if each.get("method") == "elicitation/create"]

    async def _read(self, *, stops_at_ids: bool = False) -> AsyncIterator[Message]:
        async for event in events(self.chunks):
            for name, value in event.fields:
                if name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry = value
            if event.data:
                message = json.loads(event.data)
                self.messages.append(message)
                yield message
            elif stops_at_ids and self.last_id:
                yield {}


class SessionClient:
    """One session, which any server of the deployment serves. Their urls are without `/mcp`."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._numbers = itertools.count(1)
        self._headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }

    async def open(self, url: str) -> None:
        info = {"name": "crashes", "version": "1"}
        capabilities: Message = {"elicitation": {}}
        params: Message = {"protocolVersion": VERSION, "capabilities": capabilities, "clientInfo": info}
        response = await self._post(url, self.message("initialize", params))
        self._headers |= {
            "Mcp-Session-Id": response.headers["mcp-session-id"],
            "MCP-Protocol-Version": VERSION,
        }

    def message(self, method: str, params: Message) -> Message:
        return {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}

    def calling(self, tool: str, **arguments: str) -> Message:
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}}
        return self.message("tools/call", params)

    async def request(self, url: str, method: str, params: Message) -> Message:
        response = await self._post(url, self.message(method, params))
        return response.json()["result"]

    async def answer(self, url: str, question: Message) -> None:
        response = {"jsonrpc": "2.0", "id": question["id"], "result": ACCEPTED}
        assert (await self._post(url, response)).status_code == 202

    @asynccontextmanager
    async def sent(self, url: str, message: Message) -> AsyncGenerator[Told]:
        """The stream that answers a request."""
        body = json.dumps(message)
        async with self._http.stream("POST", f"{url}/mcp", content=body, headers=self._headers) as response:
            yield Told(response.aiter_bytes())

    @asynccontextmanager
    async def listening(self, url: str, after: str | None = None) -> AsyncGenerator[Told]:
        """The GET stream, or the rest of the stream that an event id is from."""
        resumed = {} if after is None else {"Last-Event-ID": after}
        async with self._http.stream("GET", f"{url}/mcp", headers=self._headers | resumed) as response:
            assert response.status_code == 200, await response.aread()
            yield Told(response.aiter_bytes())

    async def _post(self, url: str, message: Message) -> httpx2.Response:
        return await self._http.post(f"{url}/mcp", content=json.dumps(message), headers=self._headers)
