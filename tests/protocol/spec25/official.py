"""Every message of a session, held against the official types of its revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_types import (
    CancelTaskResult,
    CreateTaskResult,
    GetTaskResult,
    ListTasksResult,
    TaskStatusNotification,
    methods,
)
from mcp_types.jsonrpc import JSONRPCError
from pydantic import BaseModel

TASKS = "2025-11-25"
MCP = "io.modelcontextprotocol/"
RELATED = MCP + "related-task"
TASK_FIELDS = {"taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttl", "pollInterval"}

_TASK_RESULTS: dict[str, type[BaseModel]] = {
    "tasks/get": GetTaskResult,
    "tasks/cancel": CancelTaskResult,
    "tasks/list": ListTasksResult,
}
# Of the revision that has no sessions; a session's client knows none of them.
_LATER = {"resultType", "inputRequests", "requestState", "ttlMs", "cacheScope"}
_CAPABILITY = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


def check_response(message: Mapping[str, Any], request: Mapping[str, Any] | None, version: str) -> None:
    """Raise for a response that this request may not have. None: what was sent was no request."""
    assert message["jsonrpc"] == "2.0"
    if "error" in message:
        JSONRPCError.model_validate({"id": 0, **message})
        assert set(message) <= {"jsonrpc", "id", "error"}, message
    else:
        assert set(message) == {"jsonrpc", "id", "result"}, message
        assert request is not None
        check_result(message["result"], request, version)
    if request is not None:
        answered, asked = message["id"], request["id"]
        assert (answered, type(answered)) == (asked, type(asked)), message


def check_result(result: dict[str, Any], request: Mapping[str, Any], version: str) -> None:
    """Raise for a result that this request may not have."""
    assert not _LATER & result.keys(), result
    _forbid_nulls(result)
    method: str = request["method"]
    if method in _TASK_RESULTS:
        assert version == TASKS
        _TASK_RESULTS[method].model_validate(result, strict=True, by_name=False)
        for task in result["tasks"] if method == "tasks/list" else [result]:
            _check_task(task)
    elif "task" in result:
        assert method == "tools/call"
        assert version == TASKS
        assert "task" in request["params"]
        CreateTaskResult.model_validate(result, strict=True, by_name=False)
        assert result.keys() <= {"task", "_meta"}
        _check_task(result["task"])
    else:
        methods.validate_server_result("tools/call" if method == "tasks/result" else method, version, result)


def check_message(message: dict[str, Any], version: str, capabilities: Mapping[str, Any]) -> None:
    """Raise for a request or notification that this client may not be sent."""
    assert message["jsonrpc"] == "2.0"
    assert message.keys() <= {"jsonrpc", "id", "method", "params"}, message
    method: str = message["method"]
    params: dict[str, Any] = message.get("params", {})
    _forbid_nulls(params)
    if "id" in message:
        assert isinstance(message["id"], str | int)
        methods.parse_server_request(method, version, message.get("params"))
        if method in _CAPABILITY:
            assert _CAPABILITY[method] in capabilities, f"{method} to a client that did not offer it"
        if method == "elicitation/create":
            _check_elicitation(params, version, capabilities["elicitation"])
    elif method == "notifications/tasks/status":
        assert version == TASKS
        body = {"method": method, "params": params}
        TaskStatusNotification.model_validate(body, strict=True, by_name=False)
        _check_task(params)
        assert RELATED not in params.get("_meta", {}), "the task is in the params already"
    else:
        methods.parse_server_notification(method, version, message.get("params"))


def _check_elicitation(params: dict[str, Any], version: str, offered: Mapping[str, Any]) -> None:
    if params.get("mode") == "url":
        assert version == TASKS
        assert "url" in offered, "URL mode to a client that did not offer it"
        assert params["elicitationId"]
    else:
        assert "form" in offered or not offered, "form mode to a client that did not offer it"
        assert version == TASKS or "mode" not in params or params["mode"] == "form"


def _check_task(task: dict[str, Any]) -> None:
    assert task.keys() <= {*TASK_FIELDS, "_meta"}, task
    assert "ttl" in task
    _forbid_nulls({key: value for key, value in task.items() if key != "ttl"})


def _forbid_nulls(fields: Mapping[str, Any]) -> None:
    """What is absent is left out. A task's `ttl` may be null, and what a tool returns may be anything."""
    for name, value in fields.items():
        assert value is not None or name in ("ttl", "data", "structuredContent"), f"{name} is null: {fields}"
