"""Being asked, and answering questions by what they say, not by the keys a server happens to give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, Request, accept, calling

ADA = accept(name="Ada")
YES = accept(ok=True)
ROOTS = {"roots": [{"uri": "file:///home/ada", "name": "home"}]}
SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "Hello."}, "model": "small"}

_BY_MESSAGE = {"Who are you?": ADA, "Do you agree?": YES}


def asking(tool: str, notes: Notes) -> Request:
    """A call of a tool that asks: `delete` before it runs, `ask_twice` while it runs."""
    arguments = {"filename": "old.txt"} if tool == "delete" else {}
    return calling(tool, {**arguments, **notes.directory}, FORM)


def message_of(request: Mapping[str, Any]) -> str:
    return request["params"]["message"]


def answers(requests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a friendly person, model and client answer to all of these."""
    return {key: _answer(request) for key, request in requests.items()}


def each_with(value: Any, requests: Mapping[str, Any]) -> dict[str, Any]:
    """The same value for every question."""
    return dict.fromkeys(requests, value)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    match request["method"]:
        case "sampling/createMessage":
            return SAMPLED
        case "roots/list":
            return ROOTS
        case _ if request["params"].get("mode") == "url":
            return {"action": "accept"}
        case _:
            return _BY_MESSAGE.get(message_of(request), YES)
