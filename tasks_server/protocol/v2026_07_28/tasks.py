"""`tasks/get`, `tasks/update`, `tasks/cancel`: the handle of a running call (ext-tasks).

The capability is required before the id is looked at, and ids that are missing, expired or somebody else's
get one and the same answer.
"""

from __future__ import annotations

from typing import Any, cast

from tasks_server.protocol.dialect import Call
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.v2026_07_28.projection import detailed_task, progress_meta
from tasks_server.protocol.v2026_07_28.results import complete


async def get_task(call: Call) -> Result:
    task = await call.parts.service.get(call.caller.owner, _task_id(call))
    result = complete(**detailed_task(call.parts.waiting.explained(task)))
    if meta := progress_meta(task):
        result["_meta"] = {**result["_meta"], **meta}
    return result


async def update_task(call: Call) -> Result:
    """Unknown and answered keys are ignored unread; a bad answer to an open question is -32602."""
    task_id = _task_id(call)
    responses = call.params.get("inputResponses")
    if not isinstance(responses, dict):
        raise InvalidParams("params.inputResponses must be an object: a response for every key you answer.")
    await call.parts.service.answer(call.caller.owner, task_id, cast("dict[str, Any]", responses))
    return complete()


async def cancel_task(call: Call) -> Result:
    await call.parts.service.cancel(call.caller.owner, _task_id(call))
    return complete()


def _task_id(call: Call) -> str:
    call.caller.require_tasks(call.request.method)
    task_id = call.params.get("taskId")
    if not isinstance(task_id, str):
        raise InvalidParams("params.taskId must be a string.")
    return task_id
