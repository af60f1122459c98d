"""Reading the parameters of requests that every revision has. What does not fit is InvalidParams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tasks_server.catalog import Offers
from tasks_server.manifest import ArgumentOffer, PromptOffer, ResourceTemplateOffer
from tasks_server.protocol.jsonrpc import InvalidParams


def tool_name(params: dict[str, Any]) -> str:
    return _string(params, "name", "the tool to call")


def tool_arguments(params: dict[str, Any]) -> dict[str, Any]:
    arguments = params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InvalidParams("params.arguments must be an object.")
    return cast("dict[str, Any]", arguments)


def prompt_name(params: dict[str, Any]) -> str:
    return _string(params, "name", "the prompt to get")


def prompt_arguments(params: dict[str, Any], prompt: PromptOffer) -> dict[str, Any]:
    value = params.get("arguments", {})
    if not isinstance(value, dict):
        raise InvalidParams("params.arguments must be an object of strings.")
    arguments = cast("dict[str, Any]", value)
    for name, argument in arguments.items():
        if not isinstance(argument, str):
            raise InvalidParams(f"params.arguments.{name} must be a string.")
    missing = [offer.name for offer in prompt.arguments if offer.required and offer.name not in arguments]
    if missing:
        raise InvalidParams(f"The prompt {prompt.name} needs the arguments: {', '.join(missing)}.")
    return arguments


def resource_uri(params: dict[str, Any]) -> str:
    return _string(params, "uri", "the resource to read")


@dataclass(frozen=True, slots=True)
class Completion:
    """What is to be completed: an argument of `offer`, which `identifier` names. arguments: for the worker."""

    identifier: str
    offer: PromptOffer | ResourceTemplateOffer
    argument: ArgumentOffer
    arguments: dict[str, Any]


def completion(params: dict[str, Any], offers: Offers) -> Completion:
    ref, argument = _object(params, "ref"), _object(params, "argument")
    name, value = argument.get("name"), argument.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidParams("params.argument needs a name and a value, both strings.")
    identifier, offer = _referenced(offers, ref)
    declared = _find(offer.arguments, name)
    if declared is None:
        raise InvalidParams(f"{identifier} has no argument {name!r}.")
    arguments: dict[str, Any] = {"ref": ref, "argument": {"name": name, "value": value}}
    if declared.completes and "context" in params:
        arguments["context"] = _context(params)
    return Completion(identifier, offer, declared, arguments)


def _context(params: dict[str, Any]) -> dict[str, Any]:
    """What is filled in already: names and strings, which functions of authors may rely on."""
    context = _object(params, "context")
    given: Any = context.get("arguments", {})
    if not isinstance(given, dict) or not all(
        isinstance(value, str) for value in cast("dict[str, Any]", given).values()
    ):
        raise InvalidParams("params.context.arguments must be an object of strings.")
    return {"arguments": given}


def _referenced(offers: Offers, ref: dict[str, Any]) -> tuple[str, PromptOffer | ResourceTemplateOffer]:
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


def _string(params: dict[str, Any], name: str, what: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise InvalidParams(f"params.{name} must be a string: {what}.")
    return value
