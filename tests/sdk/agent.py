"""Somebody who uses the extension, and remembers all it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
from mcp import Client
from mcp_types import CallToolResult, TextContent

from tasks_server.client import (
    DetailedTask,
    Options,
    SteadyHttpClient,
    TaskHandle,
    TasksExtension,
    TaskStatus,
    steady_http,
)
from tests.support.waiting import wait_until


class Agent:
    """`requests` holds the methods that went out, without the first that every connection begins with."""

    def __init__(self, url: str, **http: Any) -> None:
        self.url = url
        self.updates: list[DetailedTask] = []
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.requests: list[str] = []
        self.options = Options(on_update=self._update, on_progress=self._progress)
        self.tasks = TasksExtension(self.options)
        self.http: type[SteadyHttpClient] = SteadyHttpClient
        self._http_options = http

    def with_options(self, **changes: Any) -> TasksExtension:
        """Wait otherwise from now on."""
        self.options = replace(self.options, **changes)
        self.tasks = TasksExtension(self.options)
        return self.tasks

    @asynccontextmanager
    async def connected(self, **callbacks: Any) -> AsyncGenerator[Client]:
        hooks = {"request": [self._sent]}
        async with (
            self.http(event_hooks=hooks, **self._http_options) as http,
            Client(steady_http(self.url, http), extensions=[self.tasks], **callbacks) as client,
        ):
            yield client

    async def started(self, client: Client, tool: str, arguments: dict[str, Any]) -> TaskHandle:
        """A task that nobody waits for yet."""
        handle = await self.tasks.start(client, tool, arguments)
        assert isinstance(handle, TaskHandle)
        return handle

    @asynccontextmanager
    async def calling(
        self, client: Client, tool: str, arguments: dict[str, Any]
    ) -> AsyncGenerator[asyncio.Task[CallToolResult]]:
        """A call that goes on while the test does something else; its task exists already."""
        before = len(self.updates)
        call = asyncio.create_task(client.call_tool(tool, arguments))
        try:
            await wait_until(
                lambda: call.done() or len(self.updates) > before, describing="the task of the call"
            )
            yield call
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def sees(self, client: Client, task_id: str, status: TaskStatus) -> None:
        """Wait until the task has this status."""
        handle = self.tasks.attach(client, task_id)

        async def has_it() -> bool:
            return (await handle.look()).status == status

        await wait_until(has_it, describing=f"{task_id} is {status}", every=0.05)

    @property
    def task_id(self) -> str:
        """The only task there was."""
        (task_id,) = {task.task_id for task in self.updates}
        return task_id

    def sent(self, method: str) -> int:
        return self.requests.count(method)

    async def _update(self, task: DetailedTask) -> None:
        self.updates.append(task)

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    async def _sent(self, request: httpx2.Request) -> None:
        self.requests.append(request.headers.get("mcp-method", ""))


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text
