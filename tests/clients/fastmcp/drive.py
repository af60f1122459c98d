"""FastMCP's client with its tasks extension, in an environment of its own: submit, watch, answer, cancel, fetch.

Run as `python drive.py URL` against a server that offers the conformance fixtures. Prints a line per check.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fastmcp import Client
from fastmcp.exceptions import ToolError
from fastmcp_tasks.client import call_tool_task


async def say_yes(message: str, response_type: Any, params: Any, context: Any) -> Any:
    return {"confirm": True, "name": "Alice"}


async def submit_watch_and_fetch(client: Client[Any]) -> None:
    task = await call_tool_task(client, "slow_compute", {"seconds": 0.5, "label": "sums"})
    assert (await task.status()).status == "working"
    assert (await task.wait(timeout=20)).status == "completed"
    assert "sums" in (await task.result()).content[0].text


async def call_and_wait_transparently(client: Client[Any]) -> None:
    result = await client.call_tool("slow_compute", {"seconds": 0.1, "label": "tides"})
    assert "tides" in result.content[0].text


async def answer(client: Client[Any]) -> None:
    task = await call_tool_task(client, "confirm_delete", {"filename": "old.txt"})
    assert (await task.wait(state="input_required", timeout=20)).input_requests
    assert (await task.result()).content[0].text == "Deleted old.txt"


async def cancel(client: Client[Any]) -> None:
    task = await call_tool_task(client, "slow_compute", {"seconds": 60, "label": "never"})
    await task.cancel()
    assert (await task.wait(timeout=20)).status == "cancelled"


async def see_a_failure_as_one(client: Client[Any]) -> None:
    task = await call_tool_task(client, "failing_job")
    try:
        await task.result()
    except ToolError:
        return
    raise AssertionError("a result with isError did not raise")


async def main(url: str) -> None:
    checks = (submit_watch_and_fetch, call_and_wait_transparently, answer, cancel, see_a_failure_as_one)
    async with Client(url, elicitation_handler=say_yes) as client:
        for check in checks:
            await check(client)
            print(f"ok   fastmcp: {check.__name__.replace('_', ' ')}")


asyncio.run(main(sys.argv[1]))
