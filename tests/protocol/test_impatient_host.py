"""A host that knows no tasks and gives up on every call after a minute, and a job that takes three."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client
from mcp_types import CallToolResult, TextContent

from tests.support.processes import ProcessStarter

ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger(__name__)

GIVES_UP_SECONDS = 60
JOB_SECONDS = 180


class Host:
    """What a chat host does with the tools of a server, and a model that does what their answers say."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lasted: list[float] = []

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """One call, which is dropped if it takes too long."""
        began = time.monotonic()
        async with asyncio.timeout(GIVES_UP_SECONDS):
            result = await self._client.call_tool(tool, arguments, read_timeout_seconds=GIVES_UP_SECONDS)
        self.lasted.append(time.monotonic() - began)
        return result

    async def call_to_the_end(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """The tool's own result, however long it takes."""
        result = await self.call(tool, arguments)
        while (task_id := still_running(result)) is not None:
            result = await self.call("task_wait", {"taskId": task_id})
        return result


def still_running(result: CallToolResult) -> str | None:
    structured = cast("dict[str, Any]", result.structured_content or {})
    return structured.get("taskId") if structured.get("status") in ("working", "input_required") else None


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        starter = ProcessStarter(Path(directory))
        options = ("--port", "0", "--data-dir", f"{directory}/data", "--tools", "tests.conformance.fixtures")
        server = starter.tasks_server("dev", *options, cwd=ROOT)
        try:
            yield (await server.line(r"http://\S+/mcp\b"))[0]
            assert await server.stop() == 0
        finally:
            starter.destroy()


@pytest.mark.slow
@pytest.mark.timeout(2 * JOB_SECONDS)
async def test_a_long_job_is_done_once_and_its_result_is_read(url: str) -> None:
    async with Client(url) as client:
        host = Host(client)
        began = time.monotonic()
        result = await host.call_to_the_end("slow_compute", {"seconds": JOB_SECONDS, "label": "tides"})
        took = time.monotonic() - began
        tasks = await host.call("task_list", {})
    assert not result.is_error
    assert result.content == [TextContent(text=f"Computed tides for {JOB_SECONDS} s")]
    assert [task["status"] for task in cast("dict[str, Any]", tasks.structured_content)["tasks"]] == [
        "completed"
    ]
    calls = ", ".join(f"{seconds:.1f}" for seconds in host.lasted)
    log.info("%.1f s for a job of %s s, in calls of %s s", took, JOB_SECONDS, calls)
    assert max(host.lasted) < GIVES_UP_SECONDS
    assert took < JOB_SECONDS + GIVES_UP_SECONDS
