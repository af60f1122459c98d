"""`requestState` comes back from an attacker: it is sealed, and bound to the request and the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.spec.answers import ADA, answers, asking
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, Request, retried
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack
from tests.protocol.spec.wire import Wire

STATE = "basic/patterns/mrtr#server-requirements-basic-workflow"
INVALID = -32602

Tamper = Callable[[str], Any]

TAMPERINGS: dict[str, Tamper] = {
    "longer": lambda state: state + "-TAMPERED",
    "shorter": lambda state: state[:-1],
    "halved": lambda state: state[: len(state) // 2],
    "beginning": lambda state: _swapped(state, 0),
    "middle": lambda state: _swapped(state, len(state) // 2),
    "end": lambda state: _swapped(state, len(state) - 2),
    "doubled": lambda state: state * 2,
    "empty": lambda state: "",
    "invented": lambda state: "bm90IGEgc2VhbA==",
    "foreign": lambda state: "é☃",
    "number": lambda state: 5,
    "null": lambda state: None,
    "object": lambda state: {"state": state},
}


def _swapped(text: str, position: int) -> str:
    other = "A" if text[position] != "A" else "B"
    return text[:position] + other + text[position + 1 :]


@ON_ONE_DATABASE
@pytest.mark.spec(STATE)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
@pytest.mark.parametrize("tampering", TAMPERINGS)
async def test_a_state_that_was_tampered_with_is_an_error(
    wire: Wire, notes: Notes, tool: str, tampering: str
):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    state = TAMPERINGS[tampering](first["requestState"])
    reply = await wire.send(retried(request, {"requestState": state}, answers(first["inputRequests"])))
    assert reply.error["code"] == INVALID
    assert notes.lines("deleted") == []


@pytest.mark.spec(STATE)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_a_state_does_not_fit_other_arguments(wire: Wire, stack: Stack, notes: Notes, tool: str):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    elsewhere = Notes(stack.new_directory())
    changed = {**request.body["params"]["arguments"], **elsewhere.directory}
    reply = await wire.send(
        retried(request, first, answers(first["inputRequests"])).params(arguments=changed)
    )
    assert reply.error["code"] == INVALID
    assert elsewhere.lines("deleted") == elsewhere.lines("tasks") == []


@pytest.mark.spec(STATE)
@pytest.mark.parametrize(("tool", "foreign"), [("delete", "ask_twice"), ("ask_twice", "delete")])
async def test_a_state_does_not_fit_another_tool(wire: Wire, notes: Notes, tool: str, foreign: str):
    first = await wire.interrupted(asking(tool, notes))
    reply = await wire.send(retried(asking(foreign, notes), first, answers(first["inputRequests"])))
    assert reply.error["code"] == INVALID


@pytest.mark.spec(STATE)
async def test_a_state_does_not_fit_another_method(wire: Wire):
    prompt = Request.of("prompts/get", {"name": "introduce"}, FORM)
    resource = Request.of("resources/read", {"uri": "spec://secret"}, FORM)
    first = await wire.interrupted(prompt)
    reply = await wire.send(retried(resource, first, answers(first["inputRequests"])))
    assert reply.error["code"] == INVALID


@pytest.mark.spec(STATE)
async def test_a_state_does_not_fit_another_caller(wire: Wire, stack: Stack, notes: Notes):
    """Nobody is authenticated yet, so the test gives the task away behind the server's back."""
    request = asking("ask_twice", notes)
    first = await wire.interrupted(request)
    (task_id,) = set(notes.lines("tasks"))
    await stack.execute("UPDATE task SET owner = 'somebody else' WHERE id = :id", id=task_id)
    reply = await wire.send(retried(request, first, answers(first["inputRequests"])))
    assert reply.error["code"] == INVALID


@pytest.mark.spec(STATE)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_a_state_is_understood_by_every_server(wire: Wire, other: Wire, notes: Notes, tool: str):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    assert "result" in (await other.send(retried(request, first, answers(first["inputRequests"])))).message


@pytest.mark.spec(STATE)
async def test_a_state_that_was_used_up_starts_nothing_again(wire: Wire, notes: Notes):
    request = asking("ask_twice", notes)
    first = await wire.interrupted(request)
    second = await wire.interrupted(retried(request, first, answers(first["inputRequests"])))
    last = retried(request, second, answers(second["inputRequests"]))
    assert (await wire.send(last)).text == "Ada: True"
    for state in (first, second):
        again = await wire.send(retried(request, state, answers(state["inputRequests"])))
        assert "error" in again.message or again.text == "Ada: True"
    assert len(set(notes.lines("tasks"))) == 1
    assert len(notes.lines("effects")) == 1


@pytest.mark.spec(STATE)
async def test_a_state_tells_the_client_nothing(wire: Wire, notes: Notes):
    state = (await wire.interrupted(asking("delete", notes)))["requestState"]
    assert "old.txt" not in state
    assert "anonymous" not in state


@pytest.mark.spec("basic/patterns/mrtr#client-requirements-basic-workflow")
async def test_the_same_question_twice_is_sealed_differently(wire: Wire, notes: Notes):
    first, second = [await wire.interrupted(asking("delete", notes)) for _ in range(2)]
    assert first["requestState"] != second["requestState"]


@pytest.mark.spec(STATE)
async def test_answers_without_the_state_do_not_take_over_a_running_task(wire: Wire, notes: Notes):
    request = asking("ask_twice", notes)
    first = await wire.interrupted(request)
    stateless = retried(request, {}, dict.fromkeys(first["inputRequests"], ADA))
    reply = await wire.send(stateless)
    assert "error" in reply.message or reply.result["resultType"] == "input_required"
