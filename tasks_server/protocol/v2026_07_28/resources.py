"""`resources/list`, `resources/templates/list`, `resources/read`.

Workers read what they offer; artifacts of tasks are read here, straight from the store, by their owner only.
"""

from __future__ import annotations

from typing import Any

from tasks_server.artifacts import SCHEME, parse_artifact_uri
from tasks_server.encoding import is_storable
from tasks_server.protocol.artifact_contents import read_artifact
from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.errand import errand
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.parameters import resource_uri
from tasks_server.protocol.shown import ARTIFACT_TEMPLATE, show_resource
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.pages import list_result
from tasks_server.protocol.v2026_07_28.request_state import open_state
from tasks_server.protocol.v2026_07_28.results import complete
from tasks_server.task import Method

UNCHANGING_MS = 3_600_000


async def list_resources(call: Call) -> Result:
    offers = call.parts.catalog.current()
    return list_result("resources", offers.resources, call.params, lambda offer: offer.uri, show_resource)


async def list_templates(call: Call) -> Result:
    shown = [*map(show_resource, call.parts.catalog.current().resource_templates), ARTIFACT_TEMPLATE]
    return list_result("resourceTemplates", shown, call.params, lambda item: item["uriTemplate"], dict)


async def read_resource(call: Call) -> Result | Stream:
    uri = resource_uri(call.params)
    if uri.startswith(f"{SCHEME}:"):
        return await _read_artifact(call, uri)
    if not is_storable(uri):
        raise resource_not_found(uri)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_resource(uri))
    offer = offers.resource(uri)
    if offer is None:
        raise resource_not_found(uri)
    # A worker's resource may change at any time, and may depend on who reads it.
    caching: dict[str, Any] = {"ttlMs": 0, "cacheScope": "private"}
    state = open_state(call)
    if state.task_id is not None:
        return attached.resume(call, state.task_id, **caching)
    new = errand(call, Method.READ_RESOURCE, uri, offer.queue, offer.run_timeout_ms, {})
    return attached.start(call, new, **caching)


def resource_not_found(uri: str) -> InvalidParams:
    return InvalidParams("Resource not found", {"uri": uri})


async def _read_artifact(call: Call, uri: str) -> Result:
    address = parse_artifact_uri(uri)
    artifact = address and await call.parts.artifacts.find(call.caller.owner, *address)
    if not artifact:
        raise resource_not_found(uri)
    contents = await read_artifact(uri, artifact, call.parts.artifacts)
    return complete(contents=[contents], ttlMs=UNCHANGING_MS, cacheScope="private")
