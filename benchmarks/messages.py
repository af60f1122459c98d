"""The requests that are measured, as MCP 2026-07-28 has them; both sides get the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
META: Mapping[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
}


@dataclass(frozen=True, slots=True)
class Message:
    """One POST to the MCP endpoint."""

    headers: Mapping[str, str]
    body: bytes


def call(tool: str, arguments: Mapping[str, Any]) -> Message:
    """`tools/call` by a client that declares tasks: the answer is a handle."""
    return _message("tools/call", {"name": tool, "arguments": dict(arguments)}, {"Mcp-Name": tool})


def get(task_id: str) -> Message:
    return _message("tasks/get", {"taskId": task_id}, {"Mcp-Name": task_id})


def listen(task_ids: list[str]) -> Message:
    notifications = {"taskIds": task_ids}
    return _message("subscriptions/listen", {"notifications": notifications}, {})


def cancel(task_id: str) -> Message:
    return _message("tasks/cancel", {"taskId": task_id}, {"Mcp-Name": task_id})


def _message(method: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> Message:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    fixed = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": method,
    }
    return Message({**fixed, **headers}, json.dumps(body, separators=(",", ":")).encode())
