"""The official Python SDK 1.30: 2025-11-25 with its experimental tasks, and without."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from checks import passes
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    ProgressNotification,
    ServerNotification,
    TaskStatusNotification,
)

URL = sys.argv[1]
RELATED_TASK = "io.modelcontextprotocol/related-task"
TOKEN = "the progress of this task"

warnings.filterwarnings("ignore", "The experimental tasks API is deprecated")


class Heard:
    """What the server has said on its own."""

    def __init__(self) -> None:
        self.progress: list[ProgressNotification] = []
        self.statuses: list[str] = []
        self.questions: list[ElicitRequestParams] = []
        self._more = asyncio.Event()

    async def receive(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message
        notification = message.root if isinstance(message, ServerNotification) else None
        if isinstance(notification, ProgressNotification):
            self.progress.append(notification)
        elif isinstance(notification, TaskStatusNotification):
            self.statuses.append(notification.params.status)
        self._more.set()

    async def agree(self, _context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params)
        return ElicitResult(action="accept", content={"agreed": True})

    async def status(self, status: str) -> None:
        while status not in self.statuses:
            self._more.clear()
            await self._more.wait()


@asynccontextmanager
async def connected(heard: Heard) -> AsyncIterator[ClientSession]:
    async with (
        streamable_http_client(URL) as (read, write, _),
        ClientSession(
            read, write, elicitation_callback=heard.agree, message_handler=heard.receive
        ) as session,
    ):
        answer = await session.initialize()
        assert answer.protocolVersion == "2025-11-25"
        yield session


def text_of(result: CallToolResult) -> str:
    return result.content[0].text


async def refusal(request: Awaitable[Any]) -> int | None:
    """The code of the error that the request is answered with."""
    try:
        await request
    except McpError as error:
        return error.error.code
    return None


async def the_server_offers_tasks() -> None:
    async with connected(Heard()) as session:
        offered = session.get_server_capabilities()
        assert offered is not None
        assert offered.tasks is not None
        assert offered.tasks.requests.tools.call is not None
        assert offered.tasks.cancel is not None
        assert offered.tasks.list is not None
        (count,) = [tool for tool in (await session.list_tools()).tools if tool.name == "count"]
        assert count.execution.taskSupport == "optional"


async def a_task_is_polled_to_its_result() -> None:
    heard = Heard()
    async with connected(heard) as session:
        created = await session.experimental.call_tool_as_task(
            "count", {"to": 5}, meta={"progressToken": TOKEN}
        )
        task_id = created.task.taskId
        assert created.task.status == "working"
        assert task_id in [task.taskId for task in (await session.experimental.list_tasks()).tasks]
        polled = [task.status async for task in session.experimental.poll_task(task_id)]
        assert polled[-1] == "completed"
        result = await session.experimental.get_task_result(task_id, CallToolResult)
        assert result.structuredContent == {"last": 5}
        assert result.meta == {RELATED_TASK: {"taskId": task_id}}


async def waiting_for_the_result_brings_progress() -> None:
    heard = Heard()
    async with connected(heard) as session:
        created = await session.experimental.call_tool_as_task(
            "count", {"to": 50}, meta={"progressToken": TOKEN}
        )
        result = await session.experimental.get_task_result(created.task.taskId, CallToolResult)
        assert result.structuredContent == {"last": 50}
        await heard.status("completed")
    assert heard.progress[-1].params.progress > 25, "only the beginning, before anybody waited"
    for notification in heard.progress:
        assert notification.params.progressToken == TOKEN
        assert notification.params.meta.model_extra == {RELATED_TASK: {"taskId": created.task.taskId}}


async def a_task_asks_whoever_waits_for_its_result() -> None:
    heard = Heard()
    async with connected(heard) as session:
        created = await session.experimental.call_tool_as_task("reserve", {"seats": 2})
        result = await session.experimental.get_task_result(created.task.taskId, CallToolResult)
        assert text_of(result) == "Reserved 2 seats"
    (question,) = heard.questions
    assert question.message == "Reserve 2 seats?"
    assert question.meta.model_extra == {RELATED_TASK: {"taskId": created.task.taskId}}


async def a_task_is_cancelled() -> None:
    async with connected(Heard()) as session:
        task_id = (await session.experimental.call_tool_as_task("wait")).task.taskId
        assert (await session.experimental.cancel_task(task_id)).status == "cancelled"
        assert (await session.experimental.get_task(task_id)).status == "cancelled"
        assert await refusal(session.experimental.cancel_task(task_id)) == INVALID_PARAMS


async def a_task_that_fails_says_so() -> None:
    async with connected(Heard()) as session:
        task_id = (await session.experimental.call_tool_as_task("fail")).task.taskId
        result = await session.experimental.get_task_result(task_id, CallToolResult)
        assert result.isError
        assert text_of(result) == "This always fails"
        assert (await session.experimental.get_task(task_id)).status == "failed"


async def calls_without_tasks() -> None:
    heard = Heard()
    progress: list[float] = []

    async def report(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    async with connected(heard) as session:
        result = await session.call_tool("count", {"to": 5}, progress_callback=report)
        assert result.structuredContent == {"last": 5}
        assert progress == [1, 2, 3, 4, 5]
        assert text_of(await session.call_tool("reserve", {"seats": 2})) == "Reserved 2 seats"
        assert len(heard.questions) == 1
        failed = await session.call_tool("fail")
        assert failed.isError
        assert text_of(failed) == "This always fails"


asyncio.run(
    passes(
        the_server_offers_tasks,
        a_task_is_polled_to_its_result,
        waiting_for_the_result_brings_progress,
        a_task_asks_whoever_waits_for_its_result,
        a_task_is_cancelled,
        a_task_that_fails_says_so,
        calls_without_tasks,
    )
)
