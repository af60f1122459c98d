"""Questions to the client, and what counts as an answer to them.

A question is the wire object `{"method": …, "params": …}` of an elicitation, sampling or roots request
(2026-07-28 basic/patterns/mrtr, "InputRequests"). Both the protocol, for questions asked before a task
exists, and the task service, for questions a running task asks, judge answers here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

import jsonschema_rs
import orjson

from tasks_server.errors import InvalidAnswer
from tasks_server.misfits import misfits

ELICIT = "elicitation/create"
SAMPLE = "sampling/createMessage"
LIST_ROOTS = "roots/list"

REFUSED: dict[str, Any] = {"action": "cancel"}
"""A response that is none: the client could or would not answer. It fits every question."""

_ACTIONS = ("accept", "decline", "cancel")
_REFUSALS = ("decline", "cancel")
_MAX_REASONS = 3
_WAITED_MS = "unansweredForMs"


def missing_capability(request: Mapping[str, Any], capabilities: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a client lacks to be asked this, as a ClientCapabilities object; None if it may be asked.

    `elicitation: {}` means form mode only (client/elicitation, "Capabilities").
    """
    required = _required_capability(request)
    return None if _declares(capabilities, required) else required


def merge_capabilities(required: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One ClientCapabilities object that names everything the given ones name."""
    merged: dict[str, Any] = {}
    for capabilities in required:
        for name, value in capabilities.items():
            merged[name] = merge_capabilities([merged.get(name, {}), value])
    return merged


def cannot_be_asked(name: str, required: Mapping[str, Any]) -> str:
    """What the -32021 error of the tool, prompt or resource `name` says to a person about what is lacking."""
    lacking = [word for capability, details in required.items() for word in _in_words(capability, details)]
    noun = "capability" if len(lacking) == 1 else "capabilities"
    return (
        f"{name} needs to ask a question, but the client did not declare the {noun} "
        f"{', '.join(lacking)} on this request."
    )


def is_accepted(response: Mapping[str, Any]) -> bool:
    """False for an elicitation that the user declined or dismissed."""
    return response.get("action", "accept") == "accept"


def no_answer(waited_ms: int) -> dict[str, Any]:
    """The response of a question whose deadline has passed; nobody dismissed it, but nobody can answer it now."""
    return {"action": "cancel", _WAITED_MS: waited_ms}


def waited_for_nothing_ms(response: Mapping[str, Any]) -> int | None:
    """How long a question was open, if nobody answered it; None if somebody did."""
    return response.get(_WAITED_MS)


def check_answer(key: str, request: Mapping[str, Any], response: Any) -> None:
    """Raise InvalidAnswer unless `response` is a possible result of `request`.

    Fields of an elicitation's content that its schema does not name are allowed: a client may send more than
    it was asked for.
    """
    if not isinstance(response, dict):
        raise InvalidAnswer(key, f"expected an object, got {_kind(response)}")
    answer = cast("dict[str, Any]", response)
    method = request.get("method")
    params = cast("Mapping[str, Any]", request.get("params") or {})
    if method == ELICIT:
        _check_elicited(key, params, answer)
    elif answer.get("action") in _REFUSALS:
        pass
    elif method == SAMPLE:
        _check_sampled(key, answer)
    elif method == LIST_ROOTS:
        _check_roots(key, answer)


def _required_capability(request: Mapping[str, Any]) -> dict[str, Any]:
    params = cast("Mapping[str, Any]", request.get("params") or {})
    match request.get("method"):
        case "elicitation/create":
            return {"elicitation": {"url": {}} if params.get("mode") == "url" else {}}
        case "sampling/createMessage":
            details: dict[str, Any] = {}
            if "tools" in params or "toolChoice" in params:
                details["tools"] = {}
            if params.get("includeContext", "none") != "none":
                details["context"] = {}
            return {"sampling": details}
        case "roots/list":
            return {"roots": {}}
        case other:
            raise ValueError(f"not a question that a client can be asked: {other!r}")


def _in_words(capability: str, details: Mapping[str, Any]) -> list[str]:
    if capability == "elicitation" and not details:
        return ["elicitation.form"]
    return [f"{capability}.{detail}" for detail in details] or [capability]


def _declares(capabilities: Mapping[str, Any], required: Mapping[str, Any]) -> bool:
    for name, details in required.items():
        declared = capabilities.get(name)
        if not isinstance(declared, dict):
            return False
        if name == "elicitation" and not details:
            return "form" in declared or "url" not in declared
        if any(detail not in declared for detail in details):
            return False
    return True


def _check_elicited(key: str, params: Mapping[str, Any], answer: dict[str, Any]) -> None:
    action = answer.get("action")
    if action not in _ACTIONS:
        raise InvalidAnswer(key, f"action must be one of {', '.join(_ACTIONS)}")
    schema = params.get("requestedSchema")
    if action != "accept" or params.get("mode") == "url" or not isinstance(schema, dict):
        return
    content = answer.get("content")
    if not isinstance(content, dict):
        raise InvalidAnswer(key, "an accepted form needs its fields as an object in content")
    if reasons := _misfits(cast("dict[str, Any]", schema), cast("dict[str, Any]", content)):
        raise InvalidAnswer(key, "; ".join(reasons))


def _check_sampled(key: str, answer: dict[str, Any]) -> None:
    if answer.get("role") not in ("user", "assistant"):
        raise InvalidAnswer(key, "role must be user or assistant")
    if not isinstance(answer.get("content"), dict | list):
        raise InvalidAnswer(key, "content must be a content block or a list of them")
    if not isinstance(answer.get("model"), str):
        raise InvalidAnswer(key, "model must name the model that answered")


def _check_roots(key: str, answer: dict[str, Any]) -> None:
    roots = answer.get("roots")
    if not isinstance(roots, list):
        raise InvalidAnswer(key, "roots must be a list")
    for root in cast("list[Any]", roots):
        if not isinstance(root, dict) or not isinstance(cast("dict[str, Any]", root).get("uri"), str):
            raise InvalidAnswer(key, "every root needs a uri")


def _misfits(schema: dict[str, Any], content: dict[str, Any]) -> list[str]:
    lenient = {name: value for name, value in schema.items() if name != "additionalProperties"}
    validator = _compiled(orjson.dumps(lenient, option=orjson.OPT_SORT_KEYS))
    return misfits(validator, content, at_most=_MAX_REASONS)


@lru_cache(maxsize=512)
def _compiled(schema: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(orjson.loads(schema), validate_formats=True, offline=True)


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
