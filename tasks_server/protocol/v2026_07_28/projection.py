"""How a task looks on the wire. `tasks/get` and `notifications/tasks` both show what this module makes.

Source: ext-tasks "Tasks", "Task Status".
"""

from __future__ import annotations

from typing import Any

import orjson

from tasks_server.protocol.scalars import number, timestamp
from tasks_server.protocol.v2026_07_28.results import nested
from tasks_server.task import Task, TaskStatus

PROGRESS_KEY = "tasks-server/progress"


def task_fields(task: Task) -> dict[str, Any]:
    """The `Task` shape: what is true of a task in any status."""
    fields: dict[str, Any] = {"taskId": task.id, "status": task.status.value}
    if task.status_message is not None:
        fields["statusMessage"] = task.status_message
    fields["createdAt"] = timestamp(task.created_at)
    fields["lastUpdatedAt"] = timestamp(task.updated_at)
    fields["ttlMs"] = task.ttl_ms
    if task.poll_interval_ms is not None:
        fields["pollIntervalMs"] = task.poll_interval_ms
    return fields


def detailed_task(task: Task) -> dict[str, Any]:
    """The `DetailedTask` shape: with the questions, the result or the error that belong to the status."""
    fields = task_fields(task)
    if task.status is TaskStatus.INPUT_REQUIRED:
        fields["inputRequests"] = input_requests(task)
    elif task.status is TaskStatus.COMPLETED and task.outcome is not None:
        fields["result"] = nested(task.outcome)
    elif task.status is TaskStatus.FAILED and task.outcome is not None:
        if task.status_message is None:
            fields["statusMessage"] = orjson.loads(task.outcome)["message"]
        fields["error"] = orjson.Fragment(task.outcome)
    return fields


def input_requests(task: Task) -> dict[str, Any]:
    """All outstanding questions by key, as wire requests."""
    return {question.key: orjson.Fragment(question.request) for question in task.input_requests}


def progress_meta(task: Task) -> dict[str, Any]:
    """`_meta` for a task that has said how far it is. The key is ours; the extension has no field for it."""
    if task.progress is None:
        return {}
    progress: dict[str, Any] = {"progress": number(task.progress)}
    if task.progress_total is not None:
        progress["total"] = number(task.progress_total)
    return {PROGRESS_KEY: progress}
