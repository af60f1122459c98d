"""Questions a tool declares to be asked before its task exists (MRTR on the call itself).

All of them go to the client at once; answers given in several rounds are kept in `requestState`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tasks_server.elicitation import ELICIT, cannot_be_asked, check_answer, is_accepted, merge_capabilities
from tasks_server.errors import InvalidAnswer
from tasks_server.manifest import QuestionOffer, ToolOffer
from tasks_server.placeholders import filled
from tasks_server.protocol.dialect import Call
from tasks_server.protocol.jsonrpc import MissingClientCapability, Result
from tasks_server.protocol.v2026_07_28.request_state import (
    RequestState,
    input_responses,
    seal_state,
)
from tasks_server.protocol.v2026_07_28.results import input_required, tool_error
from tasks_server.task import InputRequest

_UNANSWERED = {"action": "decline"}

Answers = tuple[tuple[InputRequest, str], ...]


@dataclass(slots=True)
class _Round:
    """One look at all declared questions: what has been answered, what has still to be asked.

    refused: the message of a question that was declined although it must be answered.
    """

    given: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    open: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    unaskable: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refused: str | None = None


def settle_questions(
    call: Call, tool: ToolOffer, arguments: Mapping[str, Any], state: RequestState
) -> Answers | Result:
    """The answers to every declared question, or the result that ends this round of the call.

    An answer that does not fit its question is asked for again, with the reason; one that is missing, without.
    Raises MissingClientCapability if a question that must be answered cannot be put to this client.
    """
    if not tool.questions:
        return ()
    current = _look(call, tool, arguments, {**state.answers, **input_responses(call)})
    if current.refused is not None:
        return tool_error(f"Not done: the question {current.refused!r} was declined.")
    if current.unaskable:
        required = merge_capabilities(current.unaskable)
        raise MissingClientCapability(required, cannot_be_asked(tool.name, required))
    if current.open:
        return input_required(current.open, seal_state(call, RequestState(answers=current.given)))
    return tuple(
        (InputRequest(key, _encoded(question)), _encoded(current.given[key]))
        for key, question in current.asked.items()
    )


def _look(call: Call, tool: ToolOffer, arguments: Mapping[str, Any], responses: Mapping[str, Any]) -> _Round:
    current = _Round()
    for offer in tool.questions:
        message = filled(offer.message, arguments, tool.input_schema)
        question = _as_request(offer, message)
        current.asked[offer.key] = question
        response = responses.get(offer.key)
        if response is None and (required := call.caller.lacks(question)) is not None:
            if not offer.optional:
                current.unaskable.append(required)
            current.given[offer.key] = _UNANSWERED
        elif response is None:
            current.open[offer.key] = question
        elif (reason := _misfit(offer.key, question, response)) is not None:
            current.open[offer.key] = _as_request(offer, f"Your answer did not fit: {reason}. {message}")
        else:
            current.given[offer.key] = response
            if not offer.optional and not is_accepted(response):
                current.refused = message
    return current


def _misfit(key: str, question: Mapping[str, Any], response: Any) -> str | None:
    try:
        check_answer(key, question, response)
    except InvalidAnswer as error:
        return error.reason
    return None


def _as_request(offer: QuestionOffer, message: str) -> dict[str, Any]:
    params = {"mode": "form", "message": message, "requestedSchema": offer.requested_schema}
    return {"method": ELICIT, "params": params}


def _encoded(value: Any) -> str:
    return orjson.dumps(value).decode()
