"""`tools/list` and `tools/call`."""

from __future__ import annotations

from typing import Any

import orjson

from tasks_server.manifest import ToolOffer
from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.headers import check_params
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.parameters import tool_arguments, tool_name
from tasks_server.protocol.shown import show_tool
from tasks_server.protocol.task_tools.calls import is_task_tool
from tasks_server.protocol.task_tools.detaching import limit_of_call
from tasks_server.protocol.task_tools.listing import listed_tools
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.declared_questions import Answers, settle_questions
from tasks_server.protocol.v2026_07_28.pages import list_result
from tasks_server.protocol.v2026_07_28.projection import task_fields
from tasks_server.protocol.v2026_07_28.request_state import open_state
from tasks_server.protocol.v2026_07_28.results import created, tool_error
from tasks_server.protocol.v2026_07_28.task_tools import call_task_tool
from tasks_server.protocol.wishes import Wishes, read_wishes
from tasks_server.retention import bounded_retention_ms
from tasks_server.task import Door, Method, NewTask
from tasks_server.waiting import nobody


async def list_tools(call: Call) -> Result:
    return list_result("tools", listed_tools(call.parts), call.params, lambda tool: tool.name, show_tool)


async def call_tool(call: Call) -> Result | Stream:
    """Hand out a task, or carry the call out while the caller waits.

    Clients that declare the tasks extension get a handle from every tool that supports it; all others wait.
    Arguments that do not fit the tool's schema are the model's to correct: a tool result, no task.
    """
    name, arguments = tool_name(call.params), tool_arguments(call.params)
    if is_task_tool(call.parts, name):
        return await call_task_tool(call, name, arguments)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_tool(name))
    tool = offers.tool(name)
    if tool is None:
        raise InvalidParams(f"Unknown tool: {name}")
    if call.headers is not None:
        check_params(call.headers, tool.input_schema, arguments)
    wishes = read_wishes(call)
    if tool.task_support == "required":
        call.caller.require_tasks(f"The tool {name}")
    state = open_state(call)
    limit = limit_of_call(call.parts, call.caller.owner, tool)
    if state.task_id is not None:
        return attached.resume(call, state.task_id, limit)
    if problems := offers.check_arguments(name, arguments):
        return tool_error("\n".join(["The arguments do not fit:", *problems]))
    answers = settle_questions(call, tool, arguments, state)
    if not isinstance(answers, tuple):
        return answers
    if call.caller.declares_tasks and tool.task_support != "forbidden":
        new = _new_task(call, tool, arguments, answers, wishes, Door.HANDLE)
        return created(task_fields(call.parts.waiting.explained(await call.parts.service.submit(new))))
    if not offers.is_served(tool.queue):
        return tool_error(nobody(tool.name))
    return attached.start(call, _new_task(call, tool, arguments, answers, wishes, Door.ATTACHED), limit)


def _new_task(
    call: Call,
    tool: ToolOffer,
    arguments: dict[str, Any],
    answers: Answers,
    wishes: Wishes,
    door: Door,
) -> NewTask:
    return NewTask(
        owner=call.caller.owner,
        method=Method.CALL_TOOL,
        name=tool.name,
        queue=tool.queue,
        arguments=orjson.dumps(arguments).decode(),
        origin=call.caller.origin(door),
        # Also for attached calls: the artifacts that their results link to live as long as the task.
        retention_ms=bounded_retention_ms(tool.retention_ms, call.parts.max_retention_ms),
        poll_interval_ms=tool.poll_interval_ms,
        run_timeout_ms=tool.run_timeout_ms,
        max_retries=tool.max_retries,
        max_crashes=tool.max_crashes,
        priority=tool.priority if wishes.priority is None else wishes.priority,
        idempotency_key=wishes.idempotency_key,
        start_within_ms=tool.start_within_ms,
        deadline_ms=tool.deadline_ms,
        answers=answers,
    )
