"""Every message the server sends, held against the official types and the tasks extension's schema."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from mcp_types import methods
from mcp_types.jsonrpc import JSONRPCError

VERSION = "2026-07-28"

# The schema of the tasks extension as its authors publish it (Apache-2.0); nothing in it was changed.
_TASKS_SCHEMA = Path(__file__).with_name("tasks-extension.schema.json")
_TASK_RESULTS = {
    "tasks/get": "GetTaskResult",
    "tasks/update": "UpdateTaskResult",
    "tasks/cancel": "CancelTaskResult",
}


def check_response(message: dict[str, Any], method: str) -> None:
    """Raise for a response that the request's method may not have."""
    assert message["jsonrpc"] == "2.0"
    if "error" in message:
        JSONRPCError.model_validate({"id": 0, **message})
        assert set(message) <= {"jsonrpc", "id", "error"}
        return
    result = message["result"]
    if method in _TASK_RESULTS:
        _check(_TASK_RESULTS[method], result)
    elif result["resultType"] == "task":
        assert method == "tools/call"
        _check("CreateTaskResult", result)
    else:
        methods.validate_server_result(method, VERSION, result)
    _forbid_nulls(result)


def check_notification(message: dict[str, Any]) -> None:
    assert set(message) == {"jsonrpc", "method", "params"}
    if message["method"] == "notifications/tasks":
        _check("TaskStatusNotification", message)
    else:
        methods.parse_server_notification(message["method"], VERSION, message["params"])


def _forbid_nulls(result: dict[str, Any]) -> None:
    for field in ("result", "error", "inputRequests", "requestState", "nextCursor", "statusMessage"):
        assert result.get(field, ...) is not None, f"{field} is null; it must be left out"


def _check(definition: str, instance: Any) -> None:
    _validator(definition).validate(instance)


@lru_cache
def _validator(definition: str) -> jsonschema_rs.Validator:
    schema: dict[str, Any] = json.loads(_TASKS_SCHEMA.read_bytes())
    return jsonschema_rs.validator_for(
        {"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"}, offline=True
    )
