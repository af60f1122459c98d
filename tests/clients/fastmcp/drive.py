"""FastMCP's client with its tasks extension."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from checks import passes
from fastmcp import Client
from fastmcp.exceptions import ToolError
from fastmcp_tasks.client import call_tool_task

URL = sys.argv[1]


async def agree(message: str, response_type: Any, params: Any, context: Any) -> Any:
    return {"agreed": True}


def connected() -> Client[Any]:
    return Client(URL, elicitation_handler=agree)


async def a_task_is_watched_to_its_result() -> None:
    async with connected() as client:
        task = await call_tool_task(client, "count", {"to": 50})
        assert (await task.status()).status == "working"
        assert (await task.wait(timeout=20)).status == "completed"
        assert (await task.result()).structured_content == {"last": 50}


async def a_call_waits_for_its_task() -> None:
    async with connected() as client:
        assert (await client.call_tool("count", {"to": 3})).structured_content == {"last": 3}


async def a_task_asks() -> None:
    async with connected() as client:
        task = await call_tool_task(client, "reserve", {"seats": 2})
        assert (await task.wait(state="input_required", timeout=20)).input_requests
        assert (await task.result()).content[0].text == "Reserved 2 seats"


async def a_task_is_cancelled() -> None:
    async with connected() as client:
        task = await call_tool_task(client, "wait")
        await task.cancel()
        assert (await task.wait(timeout=20)).status == "cancelled"


async def a_task_that_fails_says_so() -> None:
    async with connected() as client:
        task = await call_tool_task(client, "fail")
        try:
            await task.result()
        except ToolError:
            return
        raise AssertionError("a result with isError did not raise")


asyncio.run(
    passes(
        a_task_is_watched_to_its_result,
        a_call_waits_for_its_task,
        a_task_asks,
        a_task_is_cancelled,
        a_task_that_fails_says_so,
    )
)
