"""Every message the server sends, held against the official types and the shapes of the tasks extension."""

from __future__ import annotations

from typing import Any

from mcp_types import methods
from mcp_types.jsonrpc import JSONRPCError

from tests.protocol.task_shapes import check_acknowledged, check_created, check_detailed, check_got

VERSION = "2026-07-28"

_TASK_RESULTS = {
    "tasks/get": check_got,
    "tasks/update": check_acknowledged,
    "tasks/cancel": check_acknowledged,
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
        _TASK_RESULTS[method](result)
    elif result["resultType"] == "task":
        assert method == "tools/call"
        check_created(result)
    else:
        methods.validate_server_result(method, VERSION, result)
    _forbid_nulls(result)


def check_notification(message: dict[str, Any]) -> None:
    assert set(message) == {"jsonrpc", "method", "params"}
    if message["method"] == "notifications/tasks":
        check_detailed(message["params"])
    else:
        methods.parse_server_notification(message["method"], VERSION, message["params"])


def _forbid_nulls(result: dict[str, Any]) -> None:
    for field in ("result", "error", "inputRequests", "requestState", "nextCursor", "statusMessage"):
        assert result.get(field, ...) is not None, f"{field} is null; it must be left out"
