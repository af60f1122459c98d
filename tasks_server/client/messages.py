"""The messages of the Tasks extension (io.modelcontextprotocol/tasks, revision 2026-07-28), which the SDK lacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import mcp_types as types
from pydantic import BaseModel

IDENTIFIER = "io.modelcontextprotocol/tasks"
NOTIFICATION = "notifications/tasks"

# tasks-server's own additions to `_meta`; other servers leave them out or ignore them.
PROGRESS_KEY = "tasks-server/progress"
IDEMPOTENCY_KEY = "tasks-server/idempotencyKey"

TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]


class Progress(BaseModel):
    """How far a tool is, as it has reported it."""

    progress: float
    total: float | None = None


class _Task(types.Result):
    """What is true of a task in any status. ttl_ms: how long it can be fetched, None for ever."""

    task_id: str
    status: TaskStatus
    status_message: str | None = None
    created_at: datetime | None = None
    last_updated_at: datetime | None = None
    ttl_ms: int | None = None
    poll_interval_ms: int | None = None


class CreateTaskResult(_Task):
    """What `tools/call` answers when the work goes on as a task."""

    result_type: Literal["task"] = "task"

    def detailed(self) -> DetailedTask:
        return DetailedTask.model_validate(self.model_dump(exclude={"result_type"}))


class DetailedTask(_Task):
    """A task at one instant: the result of `tasks/get`, and the params of `notifications/tasks`.

    Which of the last three are there depends on the status.
    """

    input_requests: dict[str, types.InputRequest] = {}
    result: dict[str, Any] | None = None
    error: types.ErrorData | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def progress(self) -> Progress | None:
        reported = (self.meta or {}).get(PROGRESS_KEY)
        return None if reported is None else Progress.model_validate(reported)


class TaskParams(types.RequestParams):
    task_id: str


class UpdateTaskParams(TaskParams):
    input_responses: types.InputResponses


class GetTaskRequest(types.Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param = "taskId"


class UpdateTaskRequest(types.Request[UpdateTaskParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateTaskParams
    name_param = "taskId"


class CancelTaskRequest(types.Request[TaskParams, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskParams
    name_param = "taskId"


def listen_request(task_ids: list[str]) -> types.SubscriptionsListenRequest:
    """`subscriptions/listen` for these tasks; the SDK's own listening knows no `taskIds`."""
    wanted = types.SubscriptionFilter.model_validate({"taskIds": task_ids})
    return types.SubscriptionsListenRequest(
        params=types.SubscriptionsListenRequestParams(notifications=wanted)
    )
