"""A client that sends exactly what a test says and checks every message it gets back.

It fills in what a correct request of 2026-07-28 carries; a test overrides or leaves out what it is about.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.protocol.official import VERSION, check_notification, check_response

TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
PREFIX = "io.modelcontextprotocol/"
SUBSCRIPTION_ID = PREFIX + "subscriptionId"
NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}


@dataclass(frozen=True)
class Answer:
    """One complete answer: the HTTP side of it, the notifications before, the response."""

    status: int
    headers: httpx2.Headers
    message: dict[str, Any]
    notifications: list[dict[str, Any]]

    @property
    def is_stream(self) -> bool:
        return self.headers["content-type"].startswith("text/event-stream")

    @property
    def result(self) -> dict[str, Any]:
        assert "result" in self.message, self.message
        return self.message["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert "error" in self.message, self.message
        return self.message["error"]

    @property
    def text(self) -> str:
        return self.result["content"][0]["text"]


@dataclass
class Client:
    """Talks to one server. capabilities are declared on every request unless the request says otherwise."""

    http: httpx2.AsyncClient
    url: str
    capabilities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def declaring(self, *capabilities: Mapping[str, Any]) -> Client:
        declared = {name: value for part in capabilities for name, value in part.items()}
        return Client(self.http, self.url, declared, self.ids)

    def at(self, url: str) -> Client:
        """The same client, talking to another server."""
        return Client(self.http, url, self.capabilities, self.ids)

    async def call(self, tool: str, arguments: dict[str, Any] | None = None, **params: Any) -> Answer:
        return await self.request("tools/call", {"name": tool, "arguments": arguments or {}, **params})

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send and wait for the response. headers: overrides; None leaves a header out."""
        async with self.stream(method, params, meta=meta, headers=headers) as stream:
            notifications = [message async for message in stream]
            assert stream.response is not None, f"the stream ended without a response: {notifications}"
            return Answer(stream.status, stream.headers, stream.response, notifications)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> AsyncGenerator[Stream]:
        """Send and read as it comes; leaving the block hangs up."""
        request_id = next(self.ids)
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": self._params(params, meta)}
        sent = {**self._headers(method, params or {}), **(headers or {})}
        async with self.http.stream(
            "POST",
            self.url + "/mcp",
            content=json.dumps(message),
            headers={name: value for name, value in sent.items() if value is not None},
        ) as response:
            yield Stream(response, method, request_id)

    async def post(self, body: bytes | str, **headers: str | None) -> httpx2.Response:
        """Send these very bytes."""
        sent = {**self._headers("tools/list", {}), **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await self.http.post(
            self.url + "/mcp",
            content=body,
            headers={name: value for name, value in sent.items() if value is not None},
        )

    def _params(self, params: Mapping[str, Any] | None, meta: Mapping[str, Any] | None) -> dict[str, Any]:
        complete = {
            PREFIX + "protocolVersion": VERSION,
            PREFIX + "clientInfo": {"name": "test", "version": "0"},
            PREFIX + "clientCapabilities": self.capabilities,
            **(meta or {}),
        }
        return {
            **(params or {}),
            "_meta": {key: value for key, value in complete.items() if value is not ...},
        }

    def _headers(self, method: str, params: Mapping[str, Any]) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        name = params.get(NAMED_BY.get(method, ""))
        return {**headers, "Mcp-Name": name} if isinstance(name, str) else headers


class Stream:
    """Iterates over notifications; after the last one `response` is there, if one came."""

    def __init__(self, http: httpx2.Response, method: str, request_id: int) -> None:
        self.status = http.status_code
        self.headers = http.headers
        self.request_id = request_id
        self.response: dict[str, Any] | None = None
        self._method = method
        self._messages = self._read(http)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._messages

    async def next(self) -> dict[str, Any]:
        return await anext(self._messages)

    async def _read(self, http: httpx2.Response) -> AsyncGenerator[dict[str, Any]]:
        async for line in http.aiter_lines():
            if not line or line.startswith(":"):
                continue
            message: dict[str, Any] = json.loads(line.removeprefix("data: "))
            assert self.response is None, f"after the response came {message}"
            if "method" in message:
                check_notification(message)
                yield message
            else:
                check_response(message, self._method)
                assert message.get("id", self.request_id) == self.request_id
                self.response = message
