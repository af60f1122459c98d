"""The least client that can submit a task, look at it, and listen."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.support.waiting import wait_until

VERSION = "2026-07-28"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
}
ids = itertools.count(1)


class Client:
    """Declares tasks on every request. url is the server's, without `/mcp`."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self.url = url

    async def submit(self, tool: str, **arguments: str) -> str:
        """Call a tool; the id of its task."""
        result = await self._request("tools/call", {"name": tool, "arguments": arguments}, name=tool)
        return result["taskId"]

    async def status(self, task_id: str) -> str:
        return (await self._request("tasks/get", {"taskId": task_id}, name=task_id))["status"]

    async def completed(self, task_id: str) -> None:
        """Wait for the task's good end."""

        async def is_completed() -> bool:
            return await self.status(task_id) == "completed"

        await wait_until(is_completed, 20, describing=f"the end of task {task_id}")

    async def tools(self) -> list[str]:
        return [tool["name"] for tool in (await self._request("tools/list", {}, name=None))["tools"]]

    async def has_workers(self) -> bool:
        return (await self._http.get(f"{self.url}/readyz")).json()["workers"]

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Holds an event stream open that the server has acknowledged."""
        params = {"notifications": {"toolsListChanged": True}}
        sent = self._message("subscriptions/listen", params, None)
        async with self._http.stream("POST", f"{self.url}/mcp", **sent) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    break
            yield

    async def _request(self, method: str, params: dict[str, Any], *, name: str | None) -> dict[str, Any]:
        response = await self._http.post(f"{self.url}/mcp", **self._message(method, params, name))
        message: dict[str, Any] = response.json()
        assert "result" in message, message
        return message["result"]

    def _message(self, method: str, params: dict[str, Any], name: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": next(ids),
            "method": method,
            "params": {**params, "_meta": META},
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        if name is not None:
            headers["Mcp-Name"] = name
        return {"content": json.dumps(body), "headers": headers}
