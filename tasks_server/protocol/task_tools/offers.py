"""The tools that follow tasks, as they are listed beside those of the workers.

Their texts are all that a model knows of tasks: which tool to call when, and how often.
"""

from __future__ import annotations

from typing import Any

from tasks_server.manifest import ToolOffer
from tasks_server.task import TaskStatus

LONGEST_WAIT_SECONDS = 40
"""How long one `task_wait` waits at most: hosts give up on a call after a minute."""

TASK_STATUS = "task_status"
TASK_WAIT = "task_wait"
TASK_RESULT = "task_result"
TASK_CANCEL = "task_cancel"
TASK_LIST = "task_list"

_TASK_ID: dict[str, Any] = {
    "type": "string",
    "description": "The taskId that the tool call, or task_list, has returned.",
}

TASK_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "taskId": {"type": "string"},
        "tool": {"type": "string", "description": "The tool that the task carries out."},
        "status": {
            "type": "string",
            "enum": [status.value for status in TaskStatus],
            "description": "working and input_required go on; the others have ended.",
        },
        "statusMessage": {"type": "string"},
        "progress": {"type": "number"},
        "total": {"type": "number"},
        "questions": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What the task has to be told before it goes on.",
        },
        "isError": {"type": "boolean", "description": "Whether the task has ended without success."},
        "createdAt": {"type": "string"},
        "lastUpdatedAt": {"type": "string"},
    },
    "required": ["taskId", "tool", "status", "createdAt", "lastUpdatedAt"],
}

_LOOKS: dict[str, Any] = {"readOnlyHint": True, "openWorldHint": False}


def _offer(
    name: str,
    title: str,
    description: str,
    properties: dict[str, Any],
    required: list[str],
    output_schema: dict[str, Any] | None,
    annotations: dict[str, Any],
) -> ToolOffer:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return ToolOffer(
        name=name,
        title=title,
        description=description,
        input_schema=schema,
        output_schema=output_schema,
        annotations=annotations,
        task_support="forbidden",
        queue="",
    )


TASK_TOOLS: tuple[ToolOffer, ...] = (
    _offer(
        TASK_WAIT,
        "Wait for a task",
        "Wait for a task and return its result. A tool call that takes long answers with a taskId instead of its "
        "result: the work goes on as a task. Call task_wait with that taskId. It returns the result of the tool as "
        f"soon as it is there; after {LONGEST_WAIT_SECONDS} seconds at most it says how far the task is, and then "
        "call it again, as often as it takes. If the task has a question for the user, this call asks it. "
        "Never call the original tool again to get its result: that would start the work anew.",
        {
            "taskId": _TASK_ID,
            "seconds": {
                "type": "number",
                "minimum": 0,
                "default": LONGEST_WAIT_SECONDS,
                "description": f"How long to wait at most; more than {LONGEST_WAIT_SECONDS} counts as "
                f"{LONGEST_WAIT_SECONDS}.",
            },
        },
        ["taskId"],
        None,
        _LOOKS,
    ),
    _offer(
        TASK_STATUS,
        "Look at a task",
        "Say how far a task is, at once. Use it to look at a task now and then while doing other things, or when the "
        "user asks; not more often than every few seconds. To get the result as soon as possible, call task_wait "
        "instead of asking again and again.",
        {"taskId": _TASK_ID},
        ["taskId"],
        TASK_SCHEMA,
        _LOOKS,
    ),
    _offer(
        TASK_RESULT,
        "Get the result of a task",
        "Return the result of a task that has ended, exactly as its tool has given it; may be called again. It does "
        "not wait: while the task is still running it says so, and task_wait is the one to call.",
        {"taskId": _TASK_ID},
        ["taskId"],
        None,
        _LOOKS,
    ),
    _offer(
        TASK_CANCEL,
        "Stop a task",
        "Stop the work of a task for good. Only when its result is not wanted any more; what a task has finished "
        "before stays. A task that takes long needs no cancelling: it goes on by itself.",
        {"taskId": _TASK_ID},
        ["taskId"],
        TASK_SCHEMA,
        {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False},
    ),
    _offer(
        TASK_LIST,
        "List the tasks",
        "List the tasks there are, newest first: those that are running, and those whose results are still kept. "
        "Use it when a taskId has been lost, or the user asks what is going on.",
        {
            "cursor": {
                "type": "string",
                "description": "For the tasks after these: nextCursor of the list before.",
            }
        },
        [],
        {
            "type": "object",
            "properties": {
                "tasks": {"type": "array", "items": TASK_SCHEMA},
                "nextCursor": {"type": "string", "description": "There are more tasks."},
            },
            "required": ["tasks"],
        },
        _LOOKS,
    ),
)
