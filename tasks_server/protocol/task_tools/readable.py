"""A task as a model reads it: a sentence, and the same as structured content."""

from __future__ import annotations

from typing import Any

import orjson

from tasks_server.protocol.scalars import number, timestamp
from tasks_server.task import OutcomeKind, Task, TaskStatus

ToolResult = dict[str, Any]
"""`content`, and `structuredContent` and `isError` where there are such: what all revisions have in common."""


def said(text: str, structured: dict[str, Any] | None = None, *, is_error: bool = False) -> ToolResult:
    result: ToolResult = {"content": [{"type": "text", "text": text}]}
    if structured is not None:
        result["structuredContent"] = structured
    if is_error:
        result["isError"] = True
    return result


def as_structured(task: Task) -> dict[str, Any]:
    """What `offers.TASK_SCHEMA` describes."""
    shown: dict[str, Any] = {"taskId": task.id, "tool": task.name, "status": task.status.value}
    if task.status_message is not None:
        shown["statusMessage"] = task.status_message
    if task.progress is not None:
        shown["progress"] = number(task.progress)
    if task.progress_total is not None:
        shown["total"] = number(task.progress_total)
    if task.input_requests:
        shown["questions"] = questions(task)
    if task.is_terminal:
        shown["isError"] = has_failed(task)
    shown["createdAt"] = timestamp(task.created_at)
    shown["lastUpdatedAt"] = timestamp(task.updated_at)
    return shown


def in_words(task: Task) -> str:
    """One line about the task: what it is doing, how far it is, what it says."""
    line = f"Task {task.id} ({task.name}) {_state(task)}"
    if task.progress is not None and not task.is_terminal:
        line += f" at {_progress(task.progress, task.progress_total)}"
    if asked := questions(task):
        line += ": " + " ".join(asked)
    elif task.status_message and not task.is_terminal:
        line += f": {task.status_message}"
    return line if line.endswith((".", "?", "!")) else line + "."


def questions(task: Task) -> list[str]:
    """The messages of its outstanding questions."""
    requests = [orjson.loads(question.request) for question in task.input_requests]
    return [_message(request["method"], request.get("params") or {}) for request in requests]


def has_failed(task: Task) -> bool:
    """Whether a finished task has no result that its tool calls a success."""
    if task.outcome_kind is not OutcomeKind.RESULT or task.outcome is None:
        return True
    return '"isError"' in task.outcome and orjson.loads(task.outcome).get("isError") is True


def reason(task: Task) -> str:
    """Why a task that ended with a JSON-RPC error did."""
    return str(orjson.loads(task.outcome or "{}").get("message", task.status_message))


def _state(task: Task) -> str:
    match task.status:
        case TaskStatus.INPUT_REQUIRED:
            return "waits for an answer"
        case TaskStatus.CANCELLED:
            return "was cancelled"
        case TaskStatus.FAILED:
            return f"has failed: {reason(task)}"
        case TaskStatus.COMPLETED:
            return "has ended with an error" if has_failed(task) else "is done"
        case TaskStatus.WORKING if task.cancel_requested_at is not None:
            return "is being stopped"
        case TaskStatus.WORKING:
            return "waits for a worker" if task.lease_worker is None else "is running"


def _progress(progress: float, total: float | None) -> str:
    return f"{number(progress)}" if total is None else f"{number(progress)} of {number(total)}"


def _message(method: str, params: dict[str, Any]) -> str:
    message: object = params.get("message")
    return message if isinstance(message, str) else f"({method})"
