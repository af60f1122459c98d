"""`tasks/get`, `tasks/result`, `tasks/list`, `tasks/cancel` (basic/utilities/tasks).

Only tasks that were handed out are found: whatever can be got must be listed. Ids that are missing, expired, somebody
else's or of calls that are waited for get one and the same answer.
"""

from __future__ import annotations

from tasks_server.errors import TaskNotFound
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.v2025_11_25.awaited import wait_for
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.results import outcome, related, task_fields
from tasks_server.task import Door, Task, TaskStatus
from tasks_server.task_page import read_cursor

PAGE_SIZE = 100


async def get_task(call: SessionCall) -> Result:
    return _shown(call, await _task(call))


async def get_result(call: SessionCall) -> Result | Stream:
    """What the call of the task would have returned; waits for it if need be."""
    task = await _task(call)
    if task.is_terminal:
        return outcome(task, call.session.revision, related(task.id))
    return wait_for(call, task)


async def list_tasks(call: SessionCall) -> Result:
    try:
        after = read_cursor(call.params["cursor"]) if "cursor" in call.params else None
    except ValueError:
        raise InvalidParams("The cursor is not one that this list has returned.") from None
    found = await call.parts.service.list(call.session.owner, after, PAGE_SIZE)
    result: dict[str, object] = {"tasks": [_shown(call, task) for task in found.tasks]}
    if found.next is not None:
        result["nextCursor"] = found.next.as_cursor()
    return result


async def cancel_task(call: SessionCall) -> Stream:
    """The answer comes when the task has ended: its worker is given the time to stop it."""
    _refuse_ended(await _task(call))
    return Stream(lambda outlet: _cancel(call, outlet))


async def _cancel(call: SessionCall, _outlet: Outlet) -> Result:
    service, owner = call.parts.service, call.session.owner
    task_id: str = call.params["taskId"]
    async with service.watch(owner, [task_id]) as watch:
        await service.cancel(owner, task_id)
        async for task in watch:
            if isinstance(task, Task) and task.is_terminal:
                if task.status is not TaskStatus.CANCELLED:
                    _refuse_ended(task)
                return task_fields(task)
    raise TaskNotFound(task_id)


def _refuse_ended(task: Task) -> None:
    if task.is_terminal:
        status = task_fields(task)["status"]
        raise InvalidParams(f"Cannot cancel task: already in terminal status {status!r}.")


async def _task(call: SessionCall) -> Task:
    task_id = call.params.get("taskId")
    if not isinstance(task_id, str):
        raise InvalidParams("params.taskId must be a string.")
    task = await call.parts.service.get(call.session.owner, task_id)
    if task.origin.door is not Door.HANDLE:
        raise TaskNotFound(task_id)
    return task


def _shown(call: SessionCall, task: Task) -> dict[str, object]:
    return task_fields(call.parts.waiting.explained(task))
