"""The official Python SDK 2.x: 2026-07-28 with tasks and without, and 2025-11-25, which it speaks without tasks."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from checks import passes
from mcp import Client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from tasks_server.client import DetailedTask, Options, TasksExtension, steady_http

URL = sys.argv[1]


async def agree(_context: Any, _params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"agreed": True})


class Heard:
    """The progress that came with a call, and what its task looked like."""

    def __init__(self) -> None:
        self.progress: list[float] = []
        self.seen: list[DetailedTask] = []
        self.begun = asyncio.Event()

    async def see(self, task: DetailedTask) -> None:
        self.seen.append(task)
        self.begun.set()

    async def report(self, progress: float, total: float | None, message: str | None) -> None:
        assert total == 5
        assert message == f"said {progress:g}"
        self.progress.append(progress)


def text_of(result: CallToolResult) -> str:
    return result.content[0].text


def with_tasks(heard: Heard, **callbacks: Any) -> Client:
    extension = TasksExtension(Options(on_update=heard.see))
    return Client(steady_http(URL), extensions=[extension], **callbacks)


async def a_task_is_watched_to_its_result() -> None:
    heard = Heard()
    async with with_tasks(heard) as client:
        result = await client.call_tool("count", {"to": 50})
    assert result.structured_content == {"last": 50}
    assert heard.seen[0].status == "working"
    assert heard.seen[-1].status == "completed"
    assert heard.seen[-1].progress.progress == 50


async def a_task_asks() -> None:
    heard = Heard()
    async with with_tasks(heard, elicitation_callback=agree) as client:
        assert text_of(await client.call_tool("reserve", {"seats": 2})) == "Reserved 2 seats"
    assert "input_required" in [task.status for task in heard.seen]


async def a_task_is_cancelled() -> None:
    heard, tasks = Heard(), TasksExtension()
    async with with_tasks(heard) as client, Client(steady_http(URL), extensions=[tasks]) as other:
        call = asyncio.create_task(client.call_tool("wait"))
        await heard.begun.wait()
        call.cancel()
        await asyncio.wait([call])
        handle, status = tasks.attach(other, heard.seen[0].task_id), "working"
        while status == "working":
            status = (await handle.look()).status
    assert status == "cancelled"


async def a_task_that_fails_says_so() -> None:
    async with with_tasks(Heard()) as client:
        result = await client.call_tool("fail")
    assert result.is_error
    assert text_of(result) == "This always fails"


async def call_without_tasks(mode: str) -> None:
    heard = Heard()
    async with Client(URL, mode=mode, elicitation_callback=agree) as client:
        result = await client.call_tool("count", {"to": 5}, progress_callback=heard.report)
        assert result.structured_content == {"last": 5}
        assert heard.progress == [1, 2, 3, 4, 5]
        assert text_of(await client.call_tool("reserve", {"seats": 2})) == "Reserved 2 seats"
        failed = await client.call_tool("fail")
        assert failed.is_error
        assert text_of(failed) == "This always fails"
        call = asyncio.create_task(client.call_tool("wait"))
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()


async def calls_without_tasks_on_2026_07_28() -> None:
    await call_without_tasks("2026-07-28")


async def calls_without_tasks_on_2025_11_25() -> None:
    await call_without_tasks("legacy")


asyncio.run(
    passes(
        a_task_is_watched_to_its_result,
        a_task_asks,
        a_task_is_cancelled,
        a_task_that_fails_says_so,
        calls_without_tasks_on_2026_07_28,
        calls_without_tasks_on_2025_11_25,
    )
)
