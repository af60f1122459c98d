"""A client of Streamable HTTP with sessions. It puts nothing right, and holds every message against the schema."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from tests.protocol.spec.wire import TIMEOUT_SECONDS
from tests.protocol.spec25.stream import Ledger, Message, Reply, Stream
from tests.support.waiting import wait_until

TERMINAL = ("completed", "failed", "cancelled")
EVERYTHING: Message = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Session(Ledger):
    """One client after its handshake with a server."""

    http: httpx2.AsyncClient
    url: str
    id: str | None = None
    handshake: Message = field(default_factory=dict[str, Any])

    async def open(self) -> Session:
        """The handshake: `initialize`, then `notifications/initialized`."""
        await self.initialize()
        await self.notify("notifications/initialized")
        return self

    async def initialize(self, version: str | None = None) -> Reply:
        """Only the first half of it."""
        info = {"name": "spec", "version": "1"}
        params = {"protocolVersion": version or self.version, "capabilities": self.capabilities}
        reply = await self.request("initialize", {**params, "clientInfo": info})
        self.id = reply.headers.get("mcp-session-id")
        self.handshake = reply.message.get("result", {})
        return reply

    def at(self, url: str) -> Session:
        """The same session, talking to another server."""
        return replace(self, url=url)

    def headers(self, **changed: str | None) -> dict[str, str]:
        """What goes with every message; None takes a header away."""
        given = {
            "Accept": "application/json, text/event-stream",
            "MCP-Session-Id": self.id,
            "MCP-Protocol-Version": self.version if self.id and self.version != "2025-03-26" else None,
            **{name.replace("_", "-"): value for name, value in changed.items()},
        }
        return {name: value for name, value in given.items() if value is not None}

    def message(self, method: str, params: Mapping[str, Any] | None = None, **members: Any) -> Message:
        """A request under an id of its own; `id=None` makes it a notification."""
        body = {"jsonrpc": "2.0", "id": f"r{next(_numbers)}", "method": method, **members}
        if params is not None:
            body["params"] = dict(params)
        return {name: value for name, value in body.items() if name != "id" or value is not None}

    async def post(self, body: Any, **headers: str | None) -> httpx2.Response:
        """Just HTTP, for what is not answered with the response to a request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content_Type": "application/json", **headers}
        return await self.http.post(self.url, content=content, headers=self.headers(**headers))

    async def accepted(self, body: Any) -> None:
        """Send what must be acknowledged with 202 and no body."""
        response = await self.post(body)
        assert (response.status_code, response.content) == (202, b""), response.text

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        await self.accepted(self.message(method, params, id=None))

    async def answer(self, request: Message, result: Mapping[str, Any]) -> None:
        """Answer a request of the server."""
        await self.accepted({"jsonrpc": "2.0", "id": request["id"], "result": result})

    async def accept(self, request: Message, **content: Any) -> None:
        """Answer a form."""
        await self.answer(request, {"action": "accept", "content": content})

    @asynccontextmanager
    async def stream(self, *messages: Message) -> AsyncGenerator[Stream]:
        """Send one request (or a batch); the answer while it comes. Leaving the block hangs up."""
        self.sent.update({message["id"]: message for message in messages if "id" in message})
        content = json.dumps(messages[0] if len(messages) == 1 else messages)
        headers = self.headers(Content_Type="application/json")
        async with self.http.stream("POST", self.url, content=content, headers=headers) as response:
            yield Stream(self, response)

    @asynccontextmanager
    async def listen(self, after: str | None = None) -> AsyncGenerator[Stream]:
        """Open a stream for what belongs to no request; after an event id, resume the stream it is of."""
        headers = self.headers(Accept="text/event-stream", Last_Event_ID=after)
        async with self.http.stream("GET", self.url, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            stream = Stream(self, response, resumed=after is not None)
            assert stream.is_sse, response.headers
            yield stream

    async def terminate(self) -> httpx2.Response:
        return await self.http.delete(self.url, headers=self.headers())

    async def request(self, method: str, params: Mapping[str, Any] | None = None) -> Reply:
        async with self.stream(self.message(method, params)) as stream:
            return await stream.reply()

    def calling(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> Message:
        return self.message("tools/call", {"name": tool, "arguments": dict(arguments or {}), **params})

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> Reply:
        async with self.stream(self.calling(tool, arguments, **params)) as stream:
            return await stream.reply()

    async def create(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> str:
        """Call a tool as a task; its id."""
        return (await self.call(tool, arguments, **{"task": {}, **params})).result["task"]["taskId"]

    def fetching(self, task_id: str) -> Message:
        return self.message("tasks/result", {"taskId": task_id})

    async def fetch(self, task_id: str) -> Reply:
        """What `tasks/result` answers."""
        return await self.request("tasks/result", {"taskId": task_id})

    async def task(self, task_id: str) -> Message:
        return (await self.request("tasks/get", {"taskId": task_id})).result

    async def reached(self, task_id: str, *statuses: str) -> Message:
        """Poll until the task has one of these statuses; what `tasks/get` then said."""

        async def look() -> Message | None:
            task = await self.task(task_id)
            return task if task["status"] in statuses else None

        found = await wait_until(look, TIMEOUT_SECONDS, describing=f"task {task_id} to be {statuses}")
        assert found is not None
        return found
