"""Tool calls as the demo shows them: progress while they run, questions between, their files after."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext

from demo.screen import Bar, Screen
from tasks_server.client import DetailedTask, TaskCancelled

_SUFFIXES = {"image/png": ".png", "image/svg+xml": ".svg", "image/jpeg": ".jpg"}
PREVIEW_LINES = 12


class Calls:
    """Calls tools one after the other and saves what they return under `results`."""

    def __init__(self, screen: Screen, results: Path) -> None:
        self._screen = screen
        self._results = results
        self._bar: Bar | None = None
        self._task_id: str | None = None
        self._updates = 0

    async def call(self, client: Client, name: str, arguments: dict[str, Any]) -> bool:
        """Call a tool, watch it, and save its files. Returns whether it succeeded."""
        started = time.monotonic()
        self._task_id, self._updates = None, 0
        with self._screen.bar(name) as self._bar:
            try:
                result = await client.call_tool(name, arguments)
            except (MCPError, TaskCancelled) as error:
                self._bar.end("failed")
                self._screen.quote(str(error))
                return False
            if result.is_error:
                self._bar.end("failed")
            else:
                self._bar.finish("completed")
        seconds = time.monotonic() - started
        self._screen.line(f"{seconds:.1f} s, {self._updates} updates shown")
        has_files = any(isinstance(block, types.ResourceLink) for block in result.content)
        for block in result.content:
            if not (
                has_files and isinstance(block, types.ImageContent)
            ):  # then it is only a preview of a file
                await self._show(client, name, block)
        return not result.is_error

    async def observe(self, task: DetailedTask) -> None:
        """The task of the call has changed."""
        if self._bar is None:
            return
        if self._task_id is None:
            self._task_id = task.task_id
            self._screen.line(f"task {task.task_id}")
        self._updates += 1
        if task.progress:
            self._bar.update(task.progress.progress, task.progress.total, task.status_message or task.status)

    async def answer(
        self,
        context: ClientRequestContext,
        params: types.ElicitRequestParams,
    ) -> types.ElicitResult | types.ErrorData:
        """The tool has a question; put it to whoever is there."""
        if not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        content = await anyio.to_thread.run_sync(self._screen.ask, params.message, params.requested_schema)
        return types.ElicitResult(action="accept", content=content)

    async def _show(self, client: Client, name: str, block: types.ContentBlock) -> None:
        if isinstance(block, types.TextContent):
            for line in block.text.splitlines()[:PREVIEW_LINES]:
                self._screen.quote(line)
        elif isinstance(block, types.ImageContent):
            self._save(name + _SUFFIXES.get(block.mime_type, ".bin"), base64.b64decode(block.data))
        elif isinstance(block, types.ResourceLink):
            read = await client.read_resource(str(block.uri))
            for contents in read.contents:
                self._save(Path(block.name).name, _content(contents))

    def _save(self, name: str, content: bytes) -> None:
        path = self._results / name
        path.write_bytes(content)
        self._screen.line(f"saved {path}: {len(content):,} bytes")


def _content(contents: types.TextResourceContents | types.BlobResourceContents) -> bytes:
    if isinstance(contents, types.TextResourceContents):
        return contents.text.encode()
    return base64.b64decode(contents.blob)
