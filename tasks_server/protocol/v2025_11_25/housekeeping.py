"""What a client says about the session itself: `ping`, `logging/setLevel`, subscriptions to resources."""

from __future__ import annotations

from tasks_server.artifacts import SCHEME
from tasks_server.log_level import LOG_LEVELS
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.parameters import resource_uri
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.offers import require_resource


async def ping(_call: SessionCall) -> Result:
    return {}


async def set_level(call: SessionCall) -> Result:
    level = call.params.get("level")
    if level not in LOG_LEVELS:
        raise InvalidParams(f"params.level must be one of {', '.join(LOG_LEVELS)}.")
    await call.parts.sessions.set_log_level(call.session.id, call.session.owner, level)
    return {}


async def subscribe(call: SessionCall) -> Result:
    uri = resource_uri(call.params)
    # An artifact never changes; who wants to hear of it all the same just never does.
    if not uri.startswith(f"{SCHEME}:"):
        await require_resource(call, uri)
    await call.parts.sessions.subscribe(call.session.id, call.session.owner, uri)
    return {}


async def unsubscribe(call: SessionCall) -> Result:
    await call.parts.sessions.unsubscribe(call.session.id, call.session.owner, resource_uri(call.params))
    return {}
