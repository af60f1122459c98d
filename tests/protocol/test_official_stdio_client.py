"""The official client starts `tasks-server stdio` itself, in either revision, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.session import ClientRequestContext
from mcp.client.subscriptions import ToolsListChanged
from mcp_types import ElicitRequestParams, ElicitResult

from tasks_server.client import DetailedTask, Options, TasksExtension
from tests.protocol.test_official_client import text_of
from tests.support.descent import descendants
from tests.support.processes import all_gone
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[StdioServerParameters]:
    """What a host's configuration says."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        options = ["--data-dir", f"{directory}/data", "--tools", "tests.conformance.fixtures"]
        yield StdioServerParameters(
            command=sys.executable,
            args=["-m", "tasks_server", "stdio", *options],
            env={"PYTHONPATH": str(ROOT)},
            cwd=directory,
        )


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True, "name": "Alice", "ok": True})


def children() -> set[int]:
    """All processes that this one has started, at any depth."""
    return {child.pid for child in descendants(os.getpid())}


async def exercised(server: StdioServerParameters, **options: Any) -> list[int]:
    """What both revisions have in common; the processes that served it."""
    reported: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)

    before = children()
    async with Client(server, elicitation_callback=agree, **options) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"greet", "convert_document"} <= names
        result = await client.call_tool("test_tool_with_progress", progress_callback=on_progress)
        assert text_of(result) == "Progress was reported."
        assert reported[-1] == 100
        assert text_of(await client.call_tool("confirm_delete", {"filename": "old.txt"})) == "Deleted old.txt"
        greetings = await asyncio.gather(*(client.call_tool("greet", {"name": str(n)}) for n in range(20)))
        assert [text_of(each) for each in greetings] == [f"Hello, {n}!" for n in range(20)]
        serving = children() - before
        assert len(serving) == 3, "the server, Valkey and the worker"
    return list(serving)


async def test_the_client_uses_the_newest_revision(server: StdioServerParameters):
    await all_gone(await exercised(server))


async def test_the_client_uses_a_revision_with_a_handshake(server: StdioServerParameters):
    await all_gone(await exercised(server, mode="legacy"))


async def test_tasks_and_subscriptions_work_over_a_pipe(server: StdioServerParameters):
    snapshots: list[DetailedTask] = []

    async def see(task: DetailedTask) -> None:
        snapshots.append(task)

    extensions = [TasksExtension(Options(on_update=see))]
    async with Client(server, extensions=extensions, elicitation_callback=agree) as client:
        assert text_of(await client.call_tool("multi_input")) == "Alice is sure"
        assert "input_required" in [task.status for task in snapshots]
        call = asyncio.create_task(client.call_tool("slow_compute", {"seconds": 60, "label": "never"}))
        await wait_until(lambda: snapshots[-1].status == "working", describing="the second task")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with client.listen(tools_list_changed=True) as subscription:
            await client.call_tool("test_trigger_tool_change")
            async with asyncio.timeout(5):
                assert await anext(subscription) == ToolsListChanged()
