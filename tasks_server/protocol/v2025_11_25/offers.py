"""Prompts, resources and completions: the lists, and what a worker makes of them while the caller waits."""

from __future__ import annotations

from typing import Any

from tasks_server.artifacts import SCHEME, parse_artifact_uri
from tasks_server.encoding import is_storable
from tasks_server.errors import RpcError
from tasks_server.protocol.artifact_contents import read_artifact
from tasks_server.protocol.dialect import Stream
from tasks_server.protocol.errand import errand
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.pages import page
from tasks_server.protocol.parameters import completion, prompt_arguments, prompt_name, resource_uri
from tasks_server.protocol.shown import ARTIFACT_TEMPLATE, show_prompt, show_resource
from tasks_server.protocol.v2025_11_25.awaited import carry_out
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.results import RESOURCE_NOT_FOUND
from tasks_server.task import Method


async def list_prompts(call: SessionCall) -> Result:
    prompts = call.parts.catalog.current().prompts
    return page(
        "prompts", prompts, call.params, lambda prompt: prompt.name, lambda it: _titled(call, show_prompt(it))
    )


async def get_prompt(call: SessionCall) -> Stream:
    name = prompt_name(call.params)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_prompt(name))
    prompt = offers.prompt(name)
    if prompt is None:
        raise InvalidParams(f"Unknown prompt: {name}")
    arguments = prompt_arguments(call.params, prompt)
    new = errand(call, Method.GET_PROMPT, prompt.name, prompt.queue, prompt.run_timeout_ms, arguments)
    return carry_out(call, new)


async def list_resources(call: SessionCall) -> Result:
    resources = call.parts.catalog.current().resources
    return page(
        "resources",
        resources,
        call.params,
        lambda offer: offer.uri,
        lambda it: _titled(call, show_resource(it)),
    )


async def list_templates(call: SessionCall) -> Result:
    templates = [*map(show_resource, call.parts.catalog.current().resource_templates), ARTIFACT_TEMPLATE]
    return page(
        "resourceTemplates",
        templates,
        call.params,
        lambda item: item["uriTemplate"],
        lambda it: _titled(call, it),
    )


async def read_resource(call: SessionCall) -> Result | Stream:
    uri = resource_uri(call.params)
    if uri.startswith(f"{SCHEME}:"):
        return await _read_artifact(call, uri)
    await require_resource(call, uri)
    offer = call.parts.catalog.current().resource(uri)
    if offer is None:
        raise resource_not_found(uri)
    return carry_out(call, errand(call, Method.READ_RESOURCE, uri, offer.queue, offer.run_timeout_ms, {}))


async def require_resource(call: SessionCall, uri: str) -> None:
    """Raise RpcError unless somebody offers this URI."""
    if not is_storable(uri):
        raise resource_not_found(uri)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_resource(uri))
    if offers.resource(uri) is None:
        raise resource_not_found(uri)


def resource_not_found(uri: str) -> RpcError:
    return RpcError(RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri})


async def complete_argument(call: SessionCall) -> Result | Stream:
    wanted = completion(call.params, call.parts.catalog.current())
    if not wanted.argument.completes:
        return {"completion": {"values": [], "total": 0, "hasMore": False}}
    offer = wanted.offer
    new = errand(
        call, Method.COMPLETE, wanted.identifier, offer.queue, offer.run_timeout_ms, wanted.arguments
    )
    # What is typed on meanwhile makes the answer worthless: nobody comes back for it.
    return carry_out(call, new, resumable=False)


async def _read_artifact(call: SessionCall, uri: str) -> Result:
    address = parse_artifact_uri(uri)
    artifact = address and await call.parts.artifacts.find(call.session.owner, *address)
    if not artifact:
        raise resource_not_found(uri)
    return {"contents": [await read_artifact(uri, artifact, call.parts.artifacts)]}


def _titled(call: SessionCall, shown: dict[str, Any]) -> dict[str, Any]:
    if call.session.revision.titles:
        return shown
    untitled = {name: value for name, value in shown.items() if name != "title"}
    if "arguments" in untitled:
        untitled["arguments"] = [
            {name: value for name, value in argument.items() if name != "title"}
            for argument in untitled["arguments"]
        ]
    return untitled
