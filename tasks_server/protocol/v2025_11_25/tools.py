"""`tools/list` and `tools/call`, with and without a task."""

from __future__ import annotations

from typing import Any, cast

import orjson

from tasks_server.elicitation import ELICIT, cannot_be_asked, merge_capabilities
from tasks_server.errors import METHOD_NOT_FOUND, RpcError
from tasks_server.manifest import ToolOffer
from tasks_server.placeholders import filled
from tasks_server.protocol.dialect import Stream
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.pages import page
from tasks_server.protocol.parameters import tool_arguments, tool_name
from tasks_server.protocol.shown import show_tool
from tasks_server.protocol.task_tools.calls import is_task_tool
from tasks_server.protocol.task_tools.listing import listed_tools
from tasks_server.protocol.v2025_11_25.awaited import carry_out
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.results import task_fields, tool_error
from tasks_server.protocol.v2025_11_25.revisions import Revision
from tasks_server.protocol.v2025_11_25.task_tools import call_task_tool
from tasks_server.protocol.wishes import read_wishes
from tasks_server.retention import bounded_retention_ms
from tasks_server.store.statements.terms import MINIMUM_TTL_MS
from tasks_server.task import Door, InputRequest, Method, NewTask
from tasks_server.waiting import nobody

IMMEDIATE_RESPONSE = "io.modelcontextprotocol/model-immediate-response"

Answers = tuple[tuple[InputRequest, str], ...]


async def list_tools(call: SessionCall) -> Result:
    revision = call.session.revision
    tools = listed_tools(call.parts)
    return page("tools", tools, call.params, lambda tool: tool.name, lambda tool: _shown(tool, revision))


async def call_tool(call: SessionCall) -> Result | Stream:
    """Hand out a task to a call with a `task`; carry any other out while its caller waits."""
    name, arguments = tool_name(call.params), tool_arguments(call.params)
    if is_task_tool(call.parts, name):
        _refuse_task(call, name)
        return await call_task_tool(call, name, arguments)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_tool(name))
    tool = offers.tool(name)
    if tool is None:
        raise InvalidParams(f"Unknown tool: {name}")
    is_handle = _wants_task(call, tool)
    retention_ms = _retention_ms(call, tool) if is_handle else tool.retention_ms
    if problems := offers.check_arguments(name, arguments):
        return _refused("\n".join(["The arguments do not fit:", *problems]), is_handle=is_handle)
    declined, lacking = _unaskable(call, tool, arguments)
    if lacking:
        return _refused(cannot_be_asked(tool.name, merge_capabilities(lacking)), is_handle=is_handle)
    new = _new_task(
        call, tool, arguments, declined, Door.HANDLE if is_handle else Door.ATTACHED, retention_ms
    )
    if is_handle:
        return await _handed_out(call, new)
    if not offers.is_served(tool.queue):
        return tool_error(nobody(tool.name))
    return carry_out(call, new, tool=tool)


async def _handed_out(call: SessionCall, new: NewTask) -> Result:
    task = await call.parts.service.submit(new)
    said = f"{new.name} has been started as a task. Its result is fetched when it is done."
    return {"task": task_fields(call.parts.waiting.explained(task)), "_meta": {IMMEDIATE_RESPONSE: said}}


def _refused(text: str, *, is_handle: bool) -> Result:
    """For the model to put right; but whoever asked for a task gets a task, or an error."""
    if is_handle:
        raise InvalidParams(text)
    return tool_error(text)


def _wants_task(call: SessionCall, tool: ToolOffer) -> bool:
    """Raises RpcError where the call and its tool do not agree (basic/utilities/tasks, "Tool-Level Negotiation")."""
    if tool.task_support == "forbidden":
        _refuse_task(call, tool.name)
    if not call.session.revision.tasks:
        return False
    wanted = call.params.get("task") is not None
    if not wanted and tool.task_support == "required":
        raise RpcError(METHOD_NOT_FOUND, f"The tool {tool.name} runs only as a task; call it with `task`.")
    return wanted


def _refuse_task(call: SessionCall, name: str) -> None:
    if call.session.revision.tasks and call.params.get("task") is not None:
        raise RpcError(METHOD_NOT_FOUND, f"The tool {name} does not run as a task; call it without `task`.")


def _retention_ms(call: SessionCall, tool: ToolOffer) -> int | None:
    """What the caller asks for as `ttl` may be shorter than what the tool says, not longer; but never so short that the
    end of the task would take back what it has been told meanwhile."""
    task = call.params["task"]
    if not isinstance(task, dict):
        raise InvalidParams("params.task must be an object.")
    ttl: Any = cast("dict[str, Any]", task).get("ttl")
    if ttl is None:
        return tool.retention_ms
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 <= ttl < 2**53:
        raise InvalidParams("params.task.ttl must be a number of milliseconds from 0 to 2^53 - 1.")
    return bounded_retention_ms(max(int(ttl), MINIMUM_TTL_MS), tool.retention_ms)


def _unaskable(
    call: SessionCall, tool: ToolOffer, arguments: dict[str, Any]
) -> tuple[Answers, list[dict[str, Any]]]:
    """Questions that a tool declares are asked by its task. Of those that this client cannot be asked: the answer of
    the optional ones, which is none, and what the client lacks for the others."""
    declined: list[tuple[InputRequest, str]] = []
    lacking: list[dict[str, Any]] = []
    for offer in tool.questions:
        message = filled(offer.message, arguments, tool.input_schema)
        params = {"mode": "form", "message": message, "requestedSchema": offer.requested_schema}
        question = {"method": ELICIT, "params": params}
        required = call.caller.lacks(question)
        if required is not None and offer.optional:
            request = InputRequest(offer.key, orjson.dumps(question).decode())
            declined.append((request, '{"action":"decline"}'))
        elif required is not None:
            lacking.append(required)
    return tuple(declined), lacking


def _new_task(
    call: SessionCall,
    tool: ToolOffer,
    arguments: dict[str, Any],
    answers: Answers,
    door: Door,
    retention_ms: int | None,
) -> NewTask:
    wishes = read_wishes(call)
    return NewTask(
        owner=call.caller.owner,
        method=Method.CALL_TOOL,
        name=tool.name,
        queue=tool.queue,
        arguments=orjson.dumps(arguments).decode(),
        origin=call.caller.origin(door),
        retention_ms=bounded_retention_ms(retention_ms, call.parts.max_retention_ms),
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


def _shown(tool: ToolOffer, revision: Revision) -> dict[str, Any]:
    shown = show_tool(tool)
    if not revision.titles:
        shown.pop("title", None)
    if not revision.annotations:
        shown.pop("annotations", None)
    # Results are objects here; what has another shape is in the content only.
    if not revision.structured_content or shown.get("outputSchema", {}).get("type") != "object":
        shown.pop("outputSchema", None)
    if revision.tasks:
        shown["execution"] = {"taskSupport": tool.task_support}
    return shown
