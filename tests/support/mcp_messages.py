"""MCP requests as plain HTTP, for tests that look at something else than the protocol."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

VERSION = "2026-07-28"
# What a client tells about itself with every request: here, that it knows what a task is and can be asked.
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {
        "elicitation": {"form": {}},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    },
}
INTERNAL_ERROR = -32603
_ids = itertools.count(1)


def request(
    method: str, about: str | None, params: dict[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What httpx2 is to send. about: the tool or task, which a header repeats for routers."""
    body: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": next(_ids),
        "method": method,
        "params": {**params, "_meta": META},
    }
    routing = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": method,
    }
    return {"json": body, "headers": {**routing, **({"Mcp-Name": about} if about else {}), **(headers or {})}}
