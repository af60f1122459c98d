"""A server as a developer starts it, and the few lines of HTTP that a client needs."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.mcp_messages import request
from tests.support.processes import ProcessStarter, Started
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A running `tasks-server dev`. url: its MCP endpoint."""

    url: str
    data_directory: Path
    process: Started
    starter: ProcessStarter

    def kill_worker(self) -> None:
        """As the kernel would when memory is short: without a word. `dev` starts another one."""
        (worker,) = [child for child in self.process.descendants() if "workers" in child.cmdline()]
        worker.kill()

    def add_worker(self, tools: Path) -> None:
        """`tasks-server worker` beside it, with the tools of this file."""
        options = ("--data-dir", str(self.data_directory), "--tools", str(tools))
        self.starter.tasks_server("worker", *options, cwd=ROOT)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """`tasks-server dev --tools tests.fundamentals.tools`, shared by the tests."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        starter = ProcessStarter(Path(directory))
        data = Path(directory) / "data"
        options = ("--port", "0", "--data-dir", str(data), "--tools", "tests.fundamentals.tools")
        # A worker that is silent for two seconds counts as dead; by default it is fifteen.
        process = starter.tasks_server("dev", *options, cwd=ROOT, env={"TASKS_LEASE_SECONDS": "2"})
        try:
            yield Server(asyncio.run(process.line(r"http://\S+/mcp\b"))[0], data, process, starter)
        finally:
            starter.destroy()


class Client:
    """Speaks MCP over HTTP: one message in, one message or one event stream out."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def call(self, tool: str, **arguments: Any) -> str:
        """Call a tool, as a client does that knows tasks: the id of the task."""
        created = await self.request("tools/call", tool, name=tool, arguments=arguments)
        assert created["resultType"] == "task"
        return created["taskId"]

    async def get(self, task_id: str) -> dict[str, Any]:
        return await self.request("tasks/get", task_id, taskId=task_id)

    async def until(self, status: str, task_id: str) -> dict[str, Any]:
        """Poll the task until it has this status."""

        async def look() -> dict[str, Any] | None:
            task = await self.get(task_id)
            return task if task["status"] == status else None

        task = await wait_until(look, 20, describing=f"task {task_id} is {status}")
        assert task is not None
        return task

    async def listen(self, task_id: str) -> AsyncGenerator[dict[str, Any]]:
        """The task as it is now, and again whenever it has changed."""
        sent = request("subscriptions/listen", None, {"notifications": {"taskIds": [task_id]}})
        async with self._http.stream("POST", self._url, **sent) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    message = json.loads(line.removeprefix("data:"))
                    if message.get("method") == "notifications/tasks":
                        yield message["params"]

    async def tools(self) -> list[str]:
        return [tool["name"] for tool in (await self.request("tools/list", None))["tools"]]

    async def request(self, method: str, about: str | None, **params: Any) -> dict[str, Any]:
        """One request and its result. about: the tool or task, which a header repeats for routers."""
        response = await self._http.post(self._url, **request(method, about, params))
        message: dict[str, Any] = response.json()
        assert "result" in message, message
        return message["result"]


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(timeout=20) as http:
        yield Client(http, server.url)
