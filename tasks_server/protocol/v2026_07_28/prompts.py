"""`prompts/list` and `prompts/get`. Rendering is work for a worker; the caller always waits for it."""

from __future__ import annotations

from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.errand import errand
from tasks_server.protocol.jsonrpc import InvalidParams, Result
from tasks_server.protocol.parameters import prompt_arguments, prompt_name
from tasks_server.protocol.shown import show_prompt
from tasks_server.protocol.v2026_07_28 import attached
from tasks_server.protocol.v2026_07_28.pages import list_result
from tasks_server.protocol.v2026_07_28.request_state import open_state
from tasks_server.task import Method


async def list_prompts(call: Call) -> Result:
    offers = call.parts.catalog.current()
    return list_result("prompts", offers.prompts, call.params, lambda prompt: prompt.name, show_prompt)


async def get_prompt(call: Call) -> Stream:
    name = prompt_name(call.params)
    offers = await call.parts.catalog.including(lambda offers: offers.serves_prompt(name))
    prompt = offers.prompt(name)
    if prompt is None:
        raise InvalidParams(f"Unknown prompt: {name}")
    state = open_state(call)
    if state.task_id is not None:
        return attached.resume(call, state.task_id)
    arguments = prompt_arguments(call.params, prompt)
    return attached.start(
        call, errand(call, Method.GET_PROMPT, prompt.name, prompt.queue, prompt.run_timeout_ms, arguments)
    )
