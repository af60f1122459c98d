"""Following a task by tools, as a host does that knows no tasks."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.wire import Reply, Wire

FOLLOWING = ("task_wait", "task_status", "task_result", "task_cancel")


async def follow(wire: Wire, tool: str, task_id: str, **arguments: Any) -> Reply:
    """Call one of the tools; what it says fits what it has promised."""
    reply = await wire.call(tool, {"taskId": task_id, **arguments})
    await check_promised(wire, tool, reply)
    return reply


async def check_promised(wire: Wire, tool: str, reply: Reply) -> None:
    (listed,) = [each for each in await wire.items("tools/list") if each["name"] == tool]
    if "outputSchema" in listed and not reply.result.get("isError"):
        shown = jsonschema_rs.validator_for(listed["outputSchema"], offline=True)
        shown.validate(reply.result["structuredContent"])


async def running(wire: Wire, notes: Notes, tool: str = "hold") -> str:
    task_id = await wire.create(tool, notes.directory)
    await notes.seen("started")
    return task_id


def without_meta(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "_meta"}


def told(reply: Reply) -> tuple[bool, str]:
    """Whether it is an error, and which status it names."""
    return reply.result.get("isError", False), reply.result["structuredContent"]["status"]


async def listed(wire: Wire, **arguments: Any) -> dict[str, Any]:
    reply = await wire.call("task_list", arguments)
    await check_promised(wire, "task_list", reply)
    return reply.result["structuredContent"]
