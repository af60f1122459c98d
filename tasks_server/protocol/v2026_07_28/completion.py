"""`completion/complete`: suggestions for the arguments of prompts and the variables of resource templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tasks_server.manifest import ArgumentOffer, PromptOffer, ResourceTemplateOffer
from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.errand import errand
from tasks_server.protocol.v2026_07_28.results import complete
from tasks_server.task import Method


async def complete_argument(call: Call) -> Result | Stream:
    """Arguments that have no completions get an empty list at once, without a worker."""
    ref, argument = _object(call.params, "ref"), _object(call.params, "argument")
    name, value = argument.get("name"), argument.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidParams("params.argument needs a name and a value, both strings.")
    identifier, offer = _referenced(call, ref)
    declared = _find(offer.arguments, name)
    if declared is None:
        raise InvalidParams(f"{identifier} has no argument {name!r}.")
    if not declared.completes:
        return complete(completion={"values": [], "total": 0, "hasMore": False})
    arguments: dict[str, Any] = {"ref": ref, "argument": {"name": name, "value": value}}
    if "context" in call.params:
        arguments["context"] = _context(call)
    new = errand(call, Method.COMPLETE, identifier, offer.queue, offer.run_timeout_ms, arguments)
    return attached.start(call, new)


def _context(call: Call) -> dict[str, Any]:
    """What is filled in already: names and strings, which functions of authors may rely on."""
    context = _object(call.params, "context")
    given: Any = context.get("arguments", {})
    if not isinstance(given, dict) or not all(
        isinstance(value, str) for value in cast("dict[str, Any]", given).values()
    ):
        raise InvalidParams("params.context.arguments must be an object of strings.")
    return {"arguments": given}


def _referenced(call: Call, ref: dict[str, Any]) -> tuple[str, PromptOffer | ResourceTemplateOffer]:
    offers = call.parts.catalog.current()
    match ref:
        case {"type": "ref/prompt", "name": str(name)}:
            if (prompt := offers.prompt(name)) is not None:
                return name, prompt
            raise InvalidParams(f"Unknown prompt: {name}")
        case {"type": "ref/resource", "uri": str(uri)}:
            for template in offers.resource_templates:
                if template.uri_template == uri:
                    return uri, template
            raise InvalidParams(f"Unknown resource template: {uri}", {"uri": uri})
        case _:
            raise InvalidParams("params.ref must be a ref/prompt with a name or a ref/resource with a uri.")


def _find(arguments: Sequence[ArgumentOffer], name: str) -> ArgumentOffer | None:
    return next((argument for argument in arguments if argument.name == name), None)


def _object(params: dict[str, Any], name: str) -> dict[str, Any]:
    value = params.get(name)
    if not isinstance(value, dict):
        raise InvalidParams(f"params.{name} must be an object.")
    return cast("dict[str, Any]", value)
