"""`prompts/list` and `prompts/get`. Rendering is work for a worker; the caller always waits for it."""

from __future__ import annotations

from typing import Any, cast

from tasks_server.manifest import ArgumentOffer, PromptOffer
from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.errand import errand
from tasks_server.protocol.v2026_07_28.pages import list_result
from tasks_server.protocol.v2026_07_28.request_state import open_state
from tasks_server.task import Method


async def list_prompts(call: Call) -> Result:
    offers = call.parts.catalog.current()
    return list_result("prompts", offers.prompts, call.params, lambda prompt: prompt.name, _shown)


async def get_prompt(call: Call) -> Stream:
    name = call.params.get("name")
    if not isinstance(name, str):
        raise InvalidParams("params.name must be a string: the prompt to get.")
    offers = await call.parts.catalog.including(lambda offers: offers.serves_prompt(name))
    prompt = offers.prompt(name)
    if prompt is None:
        raise InvalidParams(f"Unknown prompt: {name}")
    state = open_state(call)
    if state.task_id is not None:
        return attached.resume(call, state.task_id)
    arguments = _arguments(call, prompt)
    return attached.start(
        call, errand(call, Method.GET_PROMPT, prompt.name, prompt.queue, prompt.run_timeout_ms, arguments)
    )


def _arguments(call: Call, prompt: PromptOffer) -> dict[str, Any]:
    value = call.params.get("arguments", {})
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


def _shown(prompt: PromptOffer) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": prompt.name}
    if prompt.title is not None:
        shown["title"] = prompt.title
    shown["description"] = prompt.description
    if prompt.arguments:
        shown["arguments"] = [_shown_argument(argument) for argument in prompt.arguments]
    return shown


def _shown_argument(argument: ArgumentOffer) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": argument.name, "required": argument.required}
    if argument.title is not None:
        shown["title"] = argument.title
    if argument.description is not None:
        shown["description"] = argument.description
    return shown
