"""The tools that come with the server, when their worker is too slow for a host without tasks."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import jsonschema_rs
import pytest

from tests.protocol.spec.stack import Stack
from tests.protocol.spec.wire import TIMEOUT_SECONDS, Wire
from tests.support.waiting import wait_until

CITIES = "data:text/csv,city,people%0AOslo,717710%0ABergen,291940"
CALLS: dict[str, dict[str, Any]] = {
    "convert_document": {"source": "data:text/html,<h1>Cities</h1>"},
    "profile_dataset": {"source": CITIES},
    "query_dataset": {"source": CITIES, "sql": "SELECT sum(people) FROM data"},
}


async def shown_schemas(wire: Wire) -> dict[str, jsonschema_rs.Validator]:
    """By name, those that are offered."""
    return {
        tool["name"]: jsonschema_rs.validator_for(tool["outputSchema"], offline=True)
        for tool in await wire.items("tools/list")
        if tool["name"] in CALLS
    }


async def result_of(wire: Wire, task_id: str) -> dict[str, Any]:
    """Starting a tool's process may take a while on a busy machine."""

    async def look() -> dict[str, Any] | None:
        reply = await wire.call("task_wait", {"taskId": task_id, "seconds": TIMEOUT_SECONDS / 2})
        return None if "taskId" in reply.result.get("structuredContent", {}) else reply.result

    return await wait_until(look, 4 * TIMEOUT_SECONDS, describing=f"the result of {task_id}") or {}


# A process that is stopped in the middle of a write keeps SQLite's one lock.
@pytest.mark.parametrize("database", ["postgresql"])
@pytest.mark.spec("server/tools#output-schema")
async def test_tasks_and_results_fit_the_schemas_that_are_shown(stack: Stack, wire: Wire, impatient: Wire):
    worker = stack.work("built-in")
    await worker.line("offers")

    async def offered() -> dict[str, jsonschema_rs.Validator] | None:
        found = await shown_schemas(impatient)
        return found if found.keys() == CALLS.keys() else None

    shown = await wait_until(offered, describing="the built-in tools") or {}
    worker.send(signal.SIGSTOP)
    replies = await asyncio.gather(*(impatient.call(tool, given) for tool, given in CALLS.items()))
    worker.send(signal.SIGCONT)
    for tool, reply in zip(CALLS, replies, strict=True):
        shown[tool].validate(reply.result["structuredContent"])
        assert reply.result["structuredContent"]["status"] == "working"
        result = await result_of(wire, reply.result["structuredContent"]["taskId"])
        assert not result.get("isError"), result
        shown[tool].validate(result["structuredContent"])
        assert "status" not in result["structuredContent"]
    await worker.stop()
