"""What `tools/list` shows: the tools of the workers, then those that follow their tasks."""

from __future__ import annotations

from collections.abc import Sequence

from tasks_server.manifest import SERVER_TOOLS, ToolOffer
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.task_tools.detaching import may_detach
from tasks_server.protocol.task_tools.offers import TASK_LIST, TASK_TOOLS
from tasks_server.protocol.task_tools.output_schemas import or_still_running


def listed_tools(parts: Parts) -> Sequence[ToolOffer]:
    """The same for every caller, in the same order everywhere. Output schemas say what a call may really return."""
    offered = parts.catalog.current().tools
    theirs = [_as_answered(parts, tool) for tool in offered if tool.name not in SERVER_TOOLS]
    return [*theirs, *own_tools(parts)]


def own_tools(parts: Parts) -> Sequence[ToolOffer]:
    """Where callers cannot be told apart, a list would show everybody's tasks to everybody."""
    return [tool for tool in TASK_TOOLS if parts.tells_callers_apart or tool.name != TASK_LIST]


def _as_answered(parts: Parts, tool: ToolOffer) -> ToolOffer:
    if tool.output_schema is None or not may_detach(parts, tool):
        return tool
    widened = or_still_running(tool.output_schema)
    return tool if widened is None else tool.model_copy(update={"output_schema": widened})
