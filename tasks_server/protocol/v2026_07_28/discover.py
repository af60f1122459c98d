"""`server/discover`: what this server speaks and offers."""

from __future__ import annotations

from typing import Any

from tasks_server.protocol.caller import TASKS_EXTENSION
from tasks_server.protocol.dialect import Call
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.v2026_07_28.results import complete

CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "completions": {},
    "logging": {},
    "extensions": {TASKS_EXTENSION: {}},
}
INSTRUCTIONS = (
    "Tools run as durable tasks on workers. A client that declares the tasks extension gets a handle for "
    "every call that may take long: it can poll it, subscribe to it, answer its questions, cancel it, or "
    "come back for the result later. Other clients wait for the result; a call that takes too long to wait for is "
    "answered with a taskId, and the tool task_wait gives its result. Large results are resources: read "
    "them by the URIs in the result."
)
DISCOVER_TTL_MS = 3_600_000


async def discover(call: Call) -> Result:
    return complete(
        supportedVersions=call.served,
        capabilities=CAPABILITIES,
        instructions=INSTRUCTIONS,
        ttlMs=DISCOVER_TTL_MS,
        cacheScope="public",
    )
