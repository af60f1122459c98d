"""`completion/complete`: suggestions for the arguments of prompts and the variables of resource templates."""

from __future__ import annotations

from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.errand import errand
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.parameters import completion
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.results import complete
from tasks_server.task import Method


async def complete_argument(call: Call) -> Result | Stream:
    """Arguments that have no completions get an empty list at once, without a worker."""
    wanted = completion(call.params, call.parts.catalog.current())
    if not wanted.argument.completes:
        return complete(completion={"values": [], "total": 0, "hasMore": False})
    offer = wanted.offer
    new = errand(
        call, Method.COMPLETE, wanted.identifier, offer.queue, offer.run_timeout_ms, wanted.arguments
    )
    return attached.start(call, new)
