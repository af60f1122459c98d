"""What counts as an answer, and who may be asked: client/elicitation, basic/patterns/mrtr."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.elicitation import (
    cannot_be_asked,
    check_answer,
    is_accepted,
    merge_capabilities,
    missing_capability,
)
from tasks_server.errors import InvalidAnswer

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "email": {"type": "string", "format": "email"},
        "age": {"type": "integer", "minimum": 0},
    },
    "required": ["name"],
    "additionalProperties": False,
}
FORM: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {"message": "Who?", "requestedSchema": SCHEMA},
}
URL: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {"mode": "url", "message": "Go", "url": "https://x.example"},
}
SAMPLE: dict[str, Any] = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (FORM, accept(name="Al")),
        (FORM, accept(name="Al", email="a@example.org", age=3)),
        (FORM, accept(name="Al", confirm=True)),
        (FORM, {"action": "decline"}),
        (FORM, {"action": "cancel", "content": {"name": 1}}),
        (URL, {"action": "accept"}),
        (SAMPLE, {"role": "assistant", "model": "m", "content": {"type": "text", "text": ""}}),
        (SAMPLE, {"role": "assistant", "model": "m", "content": []}),
        (ROOTS, {"roots": []}),
        (ROOTS, {"roots": [{"uri": "file:///a"}]}),
    ],
)
def test_fitting_answers_pass(request_: dict[str, Any], response: Any) -> None:
    check_answer("k", request_, response)


@pytest.mark.parametrize(
    ("request_", "response", "reason"),
    [
        (FORM, 12345, "expected an object, got int"),
        (FORM, None, "expected an object, got null"),
        (FORM, {}, "action must be one of"),
        (FORM, {"action": "yes"}, "action must be one of"),
        (FORM, {"action": "accept"}, "needs its fields"),
        (FORM, accept(), '"name" is a required property'),
        (FORM, accept(name="A"), "name: "),
        (FORM, accept(name="Al", email="nobody"), "email: "),
        (FORM, accept(name="Al", age="3"), "age: "),
        (SAMPLE, {"role": "system", "model": "m", "content": {}}, "role"),
        (SAMPLE, {"role": "user", "model": "m", "content": "text"}, "content"),
        (SAMPLE, {"role": "user", "content": {}}, "model"),
        (ROOTS, {}, "roots must be a list"),
        (ROOTS, {"roots": [{"name": "a"}]}, "uri"),
    ],
)
def test_answers_that_do_not_fit_say_why(request_: dict[str, Any], response: Any, reason: str) -> None:
    with pytest.raises(InvalidAnswer, match=reason):
        check_answer("k", request_, response)


def test_a_schema_never_makes_the_server_fetch_anything() -> None:
    outside = {"$ref": "http://127.0.0.1:9/schema.json"}
    question = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": outside}}
    with pytest.raises(ValueError, match=r"offline|retriev|registry"):
        check_answer("k", question, accept(a=1))


@pytest.mark.parametrize(
    ("request_", "capabilities", "missing"),
    [
        (FORM, {"elicitation": {}}, None),
        (FORM, {"elicitation": {"form": {}}}, None),
        (FORM, {"elicitation": {"form": {}, "url": {}}}, None),
        (FORM, {"elicitation": {"url": {}}}, {"elicitation": {}}),
        (FORM, {}, {"elicitation": {}}),
        (FORM, {"elicitation": None}, {"elicitation": {}}),
        (URL, {"elicitation": {}}, {"elicitation": {"url": {}}}),
        (URL, {"elicitation": {"url": {}}}, None),
        (SAMPLE, {"sampling": {}}, None),
        (SAMPLE, {"elicitation": {}}, {"sampling": {}}),
        (ROOTS, {"roots": {}}, None),
        (ROOTS, {}, {"roots": {}}),
        (
            {"method": "sampling/createMessage", "params": {"tools": []}},
            {"sampling": {}},
            {"sampling": {"tools": {}}},
        ),
        (
            {"method": "sampling/createMessage", "params": {"includeContext": "allServers"}},
            {"sampling": {}},
            {"sampling": {"context": {}}},
        ),
    ],
)
def test_a_client_is_asked_only_what_it_declared(
    request_: dict[str, Any], capabilities: dict[str, Any], missing: dict[str, Any] | None
) -> None:
    assert missing_capability(request_, capabilities) == missing


def test_required_capabilities_add_up() -> None:
    added = merge_capabilities([{"elicitation": {}}, {"elicitation": {"url": {}}}, {"roots": {}}])
    assert added == {"elicitation": {"url": {}}, "roots": {}}


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"elicitation": {}}, "capability elicitation.form"),
        ({"elicitation": {"url": {}}}, "capability elicitation.url"),
        ({"sampling": {"tools": {}, "context": {}}}, "capabilities sampling.tools, sampling.context"),
        ({"roots": {}, "sampling": {}}, "capabilities roots, sampling"),
    ],
)
def test_who_asks_and_what_is_lacking_is_said(lacking: dict[str, Any], said: str) -> None:
    assert cannot_be_asked("convert", lacking) == (
        f"convert needs to ask a question, but the client did not declare the {said} on this request."
    )


def test_only_an_elicitation_can_be_turned_down() -> None:
    assert is_accepted(accept())
    assert is_accepted({"roots": []})
    assert not is_accepted({"action": "decline"})
    assert not is_accepted({"action": "cancel"})
