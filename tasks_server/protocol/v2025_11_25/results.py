"""Tasks and their outcomes as 2025-11-25 wants them, and what older revisions make of them.

Outcomes are stored as encoded JSON and spliced into answers as they are; only what a revision does not know is
decoded and left out.
"""

from __future__ import annotations

from typing import Any, cast

import orjson

from tasks_server.errors import INTERNAL_ERROR, INVALID_PARAMS, RpcError
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.scalars import timestamp
from tasks_server.protocol.v2025_11_25.revisions import Revision
from tasks_server.task import Method, OutcomeKind, Task, TaskStatus

RELATED_TASK = "io.modelcontextprotocol/related-task"
RESOURCE_NOT_FOUND = -32002

_LATER_CODES = range(-32099, -32019)
"""What 2026-07-28 has defined for itself."""

_LONGEST_REASON = 500


def related(task_id: str) -> dict[str, Any]:
    """`_meta` that ties a message to a task (basic/utilities/tasks, "Related Task Metadata")."""
    return {RELATED_TASK: {"taskId": task_id}}


def task_fields(task: Task) -> dict[str, Any]:
    """The `Task` shape: `tasks/get`, `tasks/list`, `tasks/cancel` and `notifications/tasks/status` show no more."""
    status, reason = _status(task)
    fields: dict[str, Any] = {"taskId": task.id, "status": status.value}
    message = reason or task.status_message
    if message is not None:
        fields["statusMessage"] = message
    fields["createdAt"] = timestamp(task.created_at)
    fields["lastUpdatedAt"] = timestamp(task.updated_at)
    fields["ttl"] = task.ttl_ms
    if task.poll_interval_ms is not None:
        fields["pollInterval"] = task.poll_interval_ms
    return fields


def outcome(task: Task, revision: Revision, meta: dict[str, Any] | None = None) -> Result:
    """What the request of a finished task is answered with, `meta` added to it. Raises RpcError for an error."""
    match task.outcome_kind:
        case OutcomeKind.RESULT:
            return _result(task.outcome or "{}", revision, meta)
        case OutcomeKind.RPC_ERROR:
            raise _error(task)
        case _:
            raise RpcError(INTERNAL_ERROR, task.status_message or "The task was cancelled.")


def stored_result(stored: str, revision: Revision) -> Result:
    """A stored result, as the plain answer to another request than the one that it came from."""
    return _result(stored, revision, None)


def made_here(result: dict[str, Any], revision: Revision) -> dict[str, Any]:
    """A tool result of this server's own."""
    return _known(dict(result), revision)


def tool_error(text: str) -> dict[str, Any]:
    """A tool result that tells the model what went wrong."""
    return {"content": [{"type": "text", "text": text}], "isError": True}


def _status(task: Task) -> tuple[TaskStatus, str | None]:
    """A tool result that is an error has failed here (basic/utilities/tasks, "Task Execution Errors"); and why."""
    if task.outcome is None:
        return task.status, None
    if task.outcome_kind is OutcomeKind.RPC_ERROR:
        return task.status, orjson.loads(task.outcome).get("message")
    if task.outcome_kind is OutcomeKind.RESULT and '"isError":true' in task.outcome:
        result = orjson.loads(task.outcome)
        if result.get("isError") is True:
            return TaskStatus.FAILED, _reason(result)
    return task.status, None


def _reason(result: dict[str, Any]) -> str | None:
    """What a result that is an error begins with."""
    match result.get("content"):
        case [{"type": "text", "text": str(text)}, *_]:
            return text[:_LONGEST_REASON]
        case _:
            return None


def _error(task: Task) -> RpcError:
    error = orjson.loads(task.outcome or "{}")
    code, data = error["code"], error.get("data")
    if task.method is Method.READ_RESOURCE and code == INVALID_PARAMS and _names_uri(data):
        code = RESOURCE_NOT_FOUND
    if code in _LATER_CODES:
        code = INTERNAL_ERROR
    return RpcError(code, error["message"], data)


def _names_uri(data: Any) -> bool:
    return isinstance(data, dict) and "uri" in cast("dict[str, Any]", data)


def _result(stored: str, revision: Revision, meta: dict[str, Any] | None) -> Result:
    if (meta is None or '"_meta":' not in stored) and not _has_unknown(stored, revision):
        return orjson.Fragment(stored if meta is None else _spliced(stored, meta))
    result: dict[str, Any] = _known(orjson.loads(stored), revision)
    if meta is not None:
        result["_meta"] = {**result.get("_meta", {}), **meta}
    return result


def _spliced(stored: str, meta: dict[str, Any]) -> str:
    rest = stored[1:].lstrip()
    opening = '{"_meta":' + orjson.dumps(meta).decode()
    return opening + (rest if rest.startswith("}") else "," + rest)


def _has_unknown(stored: str, revision: Revision) -> bool:
    structured = '"structuredContent":' in stored
    return (
        (structured and not (revision.structured_content and '"structuredContent":{' in stored))
        or (not revision.resource_links and '"resource_link"' in stored)
        or (not revision.audio and '"audio"' in stored)
    )


def _known(result: dict[str, Any], revision: Revision) -> dict[str, Any]:
    if not revision.structured_content or not isinstance(result.get("structuredContent", {}), dict):
        result.pop("structuredContent", None)
    if isinstance(content := result.get("content"), list):
        result["content"] = [_known_block(block, revision) for block in cast("list[Any]", content)]
    for message in result.get("messages", ()):
        message["content"] = _known_block(message["content"], revision)
    return result


def _known_block(block: dict[str, Any], revision: Revision) -> dict[str, Any]:
    """A content block, or in words what the client could not read."""
    match block:
        case {"type": "resource_link", "uri": str(uri)} if not revision.resource_links:
            named = " ".join(str(block[field]) for field in ("name", "description") if block.get(field))
            return {"type": "text", "text": f"Resource {named}: {uri}".replace(" : ", ": ")}
        case {"type": "audio"} if not revision.audio:
            return {
                "type": "text",
                "text": f"Audio ({block.get('mimeType')}), which this client cannot take.",
            }
        case _:
            return block
