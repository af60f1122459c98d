"""What travels through the client in `requestState`, and what must hold when it comes back.

Sealed, because the client must neither read nor change it, and bound to the caller, the method and a digest
of its parameters, so that it fits no other request (basic/patterns/mrtr, "Server Requirements").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from tasks_server.protocol.dialect import Call
from tasks_server.protocol.jsonrpc import InvalidParams
from tasks_server.seal import SealBroken
from tasks_server.task import ATTACHED_ANSWER_SECONDS

_PURPOSE = "requestState"
_NOT_SALIENT = frozenset({"_meta", "inputResponses", "requestState"})


@dataclass(frozen=True, slots=True)
class RequestState:
    """task_id: the task that is already working on this request. answers: given before there was a task."""

    task_id: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])


def seal_state(call: Call, state: RequestState) -> str:
    return call.parts.seal.close(
        _PURPOSE, {"for": _binding(call), "task": state.task_id, "answers": dict(state.answers)}
    )


def open_state(call: Call) -> RequestState:
    """The state this request brings along, or an empty one.

    Raises InvalidParams if it was not made here for this very request, or too long ago.
    """
    token = call.params.get("requestState")
    if token is None and "requestState" not in call.params:
        return RequestState()
    if not isinstance(token, str):
        raise InvalidParams("params.requestState must be a string.")
    try:
        content = call.parts.seal.open(_PURPOSE, token, ATTACHED_ANSWER_SECONDS)
    except SealBroken as error:
        raise InvalidParams(f"params.requestState is refused: {error}.") from None
    if content["for"] != _binding(call):
        raise InvalidParams("params.requestState is refused: it belongs to another request.")
    return RequestState(content["task"], content["answers"])


def input_responses(call: Call) -> dict[str, Any]:
    """The answers this request brings along; keys nobody asked for are simply never looked up."""
    if "inputResponses" not in call.params:
        return {}
    responses: Any = call.params["inputResponses"]
    if not isinstance(responses, dict):
        raise InvalidParams("params.inputResponses must be an object: a response for every key.")
    return cast("dict[str, Any]", responses)


def _binding(call: Call) -> str:
    salient = {name: value for name, value in call.params.items() if name not in _NOT_SALIENT}
    parts = [call.caller.owner, call.request.method, salient]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
