"""Short work for a worker that is not a tool call: prompts, resources and completions, always waited for."""

from __future__ import annotations

from typing import Any

import orjson

from tasks_server.errors import INTERNAL_ERROR, RpcError
from tasks_server.protocol.dialect import Call
from tasks_server.retention import bounded_retention_ms
from tasks_server.task import Door, Method, NewTask

KEPT_MS = 60_000
"""How long finished errands stay in the record; nobody fetches them."""


def errand(
    call: Call, method: Method, name: str, queue: str, run_timeout_ms: int | None, arguments: dict[str, Any]
) -> NewTask:
    """The task of an errand. Raises RpcError if no worker could take it."""
    if not call.parts.catalog.current().is_served(queue):
        raise RpcError(INTERNAL_ERROR, f"No worker that serves {name} is connected at the moment.")
    return NewTask(
        owner=call.caller.owner,
        method=method,
        name=name,
        queue=queue,
        arguments=orjson.dumps(arguments).decode(),
        origin=call.caller.origin(Door.ATTACHED),
        retention_ms=bounded_retention_ms(KEPT_MS, call.parts.max_retention_ms),
        poll_interval_ms=None,
        run_timeout_ms=run_timeout_ms,
        max_retries=0,
    )
