"""Multi round-trip requests: a question instead of a result, and the retry that carries the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.answers import ADA, ROOTS, SAMPLED, YES, answers, asking, each_with, message_of
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import (
    FORM,
    SAMPLING,
    Request,
    accept,
    calling,
    retried,
)
from tests.protocol.spec.requests import ROOTS as CAN_LIST_ROOTS
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Reply, Wire

WORKFLOW = "basic/patterns/mrtr#server-requirements-basic-workflow"
ERRORS = "basic/patterns/mrtr#error-handling"
SUPPORTED = "basic/patterns/mrtr#supported-requests"
MODES = "client/elicitation#capabilities"
CAPABILITIES = "basic/index#meta"
ACTIONS = "client/elicitation#response-actions"

NOT_ANSWERS: list[Any] = [
    None,
    12345,
    "yes",
    True,
    [],
    {},
    {"action": "maybe"},
    {"action": None},
    {"action": "accept"},
    {"action": "accept", "content": None},
    {"action": "accept", "content": {}},
    {"action": "accept", "content": {"name": 5, "ok": "perhaps"}},
]


def did_not_succeed(reply: Reply) -> bool:
    return "error" in reply.message or reply.result["resultType"] == "input_required"


async def to_the_end(wire: Wire, request: Request) -> Reply:
    """Answer every question in the friendly way until something else comes back."""
    reply = await wire.send(request)
    while reply.message.get("result", {}).get("resultType") == "input_required":
        reply = await wire.send(retried(request, reply.result, answers(reply.result["inputRequests"])))
    return reply


# --- the two rounds --------------------------------------------------------------------------------------------


@pytest.mark.spec(WORKFLOW)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_a_question_comes_instead_of_the_result(wire: Wire, notes: Notes, tool: str):
    result = await wire.interrupted(asking(tool, notes))
    (question,) = result["inputRequests"].values()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] in ("Really delete old.txt from inbox?", "Who are you?")
    assert question["params"]["requestedSchema"]["type"] == "object"
    assert not {"content", "isError", "taskId"} & result.keys()


@pytest.mark.spec(WORKFLOW)
@pytest.mark.parametrize(("tool", "text"), [("delete", "old.txt: True"), ("ask_twice", "Ada: True")])
async def test_the_answers_lead_to_the_result(wire: Wire, notes: Notes, tool: str, text: str):
    assert (await to_the_end(wire, asking(tool, notes))).text == text


@pytest.mark.spec(WORKFLOW)
async def test_every_round_has_a_state_of_its_own(wire: Wire, notes: Notes):
    request = asking("ask_twice", notes)
    first = await wire.interrupted(request)
    second = await wire.interrupted(retried(request, first, answers(first["inputRequests"])))
    assert first["requestState"] != second["requestState"]
    assert not first["inputRequests"].keys() & second["inputRequests"].keys()


@pytest.mark.spec(WORKFLOW)
async def test_the_retry_continues_the_task_that_asked(wire: Wire, notes: Notes):
    assert (await to_the_end(wire, asking("ask_twice", notes))).text == "Ada: True"
    assert len(set(notes.lines("tasks"))) == 1
    assert len(notes.lines("effects")) == 1


@pytest.mark.spec(WORKFLOW)
async def test_nothing_is_done_before_the_answer(wire: Wire, notes: Notes):
    request = asking("delete", notes)
    first = await wire.interrupted(request)
    assert notes.lines("deleted") == []
    await wire.send(retried(request, first, answers(first["inputRequests"])))
    assert notes.lines("deleted") == ["old.txt"]


@pytest.mark.spec(SUPPORTED)
async def test_a_prompt_asks_too(wire: Wire):
    reply = await to_the_end(wire, Request.of("prompts/get", {"name": "introduce"}, FORM))
    assert reply.result["messages"][0]["content"]["text"] == "This is Ada."


@pytest.mark.spec(SUPPORTED)
async def test_a_resource_asks_too(wire: Wire):
    reply = await to_the_end(wire, Request.of("resources/read", {"uri": "spec://secret"}, FORM))
    assert reply.result["contents"][0]["text"] == "for Ada only"


@pytest.mark.spec(WORKFLOW)
async def test_the_model_is_asked_through_the_client(wire: Wire):
    request = calling("sample", {}, SAMPLING)
    first = await wire.interrupted(request)
    ((key, question),) = first["inputRequests"].items()
    assert question["method"] == "sampling/createMessage"
    assert question["params"]["maxTokens"] == 50
    assert (await wire.send(retried(request, first, {key: SAMPLED}))).text == "Hello."


@pytest.mark.spec(WORKFLOW)
async def test_the_client_is_asked_for_its_roots(wire: Wire):
    request = calling("list_roots", {}, CAN_LIST_ROOTS)
    first = await wire.interrupted(request)
    ((key, question),) = first["inputRequests"].items()
    assert question["method"] == "roots/list"
    assert (await wire.send(retried(request, first, {key: ROOTS}))).text == "file:///home/ada"


# --- answers that are missing, superfluous or wrong ------------------------------------------------------------


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
@pytest.mark.parametrize("responses", [..., {}, {"nobody asked": ADA}], ids=["none", "empty", "other key"])
async def test_a_missing_answer_is_asked_for_again(wire: Wire, notes: Notes, tool: str, responses: Any):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    again = await wire.interrupted(retried(request, first, responses))
    assert again["inputRequests"] == first["inputRequests"]
    reply = await wire.send(retried(request, again, answers(again["inputRequests"])))
    assert "result" in reply.message


@pytest.mark.spec(ERRORS)
async def test_the_answers_still_missing_are_asked_for_again(wire: Wire):
    request = calling("ask_together", {}, FORM)
    first = await wire.interrupted(request)
    (who,) = [
        key for key, question in first["inputRequests"].items() if message_of(question) == "Who are you?"
    ]
    second = await wire.interrupted(retried(request, first, {who: ADA}))
    assert second["inputRequests"].keys() == first["inputRequests"].keys() - {who}
    rest = answers(second["inputRequests"])
    assert (await wire.send(retried(request, second, rest))).text == "Ada: True"


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_answers_nobody_asked_for_are_ignored(wire: Wire, notes: Notes, tool: str):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    responses = {**answers(first["inputRequests"]), "nobody asked": 12345, "nor this": None}
    assert "result" in (await wire.send(retried(request, first, responses))).message


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
@pytest.mark.parametrize("value", NOT_ANSWERS, ids=str)
async def test_what_is_no_answer_is_not_taken_for_one(wire: Wire, notes: Notes, tool: str, value: Any):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    reply = await wire.send(retried(request, first, each_with(value, first["inputRequests"])))
    assert did_not_succeed(reply)
    assert notes.lines("deleted") == []


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
@pytest.mark.parametrize("responses", [None, 5, [], "yes"], ids=str)
async def test_answers_that_are_no_object_are_not_taken_for_some(
    wire: Wire, notes: Notes, tool: str, responses: Any
):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    assert did_not_succeed(await wire.send(retried(request, first, responses)))
    assert notes.lines("deleted") == []


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_after_a_wrong_answer_the_right_one_still_counts(wire: Wire, notes: Notes, tool: str):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    await wire.send(retried(request, first, each_with(12345, first["inputRequests"])))
    reply = await wire.send(retried(request, first, answers(first["inputRequests"])))
    assert "result" in reply.message


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
async def test_a_wrong_answer_is_asked_for_again_with_the_reason(wire: Wire, notes: Notes):
    request = asking("delete", notes)
    first = await wire.interrupted(request)
    ((key, question),) = first["inputRequests"].items()
    second = await wire.interrupted(retried(request, first, {key: accept(ok="perhaps")}))
    again = second["inputRequests"][key]
    assert message_of(again).startswith("Your answer did not fit: ok: ")
    assert message_of(again).endswith(message_of(question))
    assert again["params"]["requestedSchema"] == question["params"]["requestedSchema"]


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
async def test_the_reason_is_not_repeated_when_the_next_answer_is_missing(wire: Wire, notes: Notes):
    request = asking("delete", notes)
    first = await wire.interrupted(request)
    wrong = each_with(accept(ok="perhaps"), first["inputRequests"])
    second = await wire.interrupted(retried(request, first, wrong))
    third = await wire.interrupted(retried(request, second))
    assert third["inputRequests"] == first["inputRequests"]


@pytest.mark.spec(ERRORS)
async def test_more_content_than_was_asked_for_is_no_harm(wire: Wire, notes: Notes):
    request = asking("delete", notes)
    first = await wire.interrupted(request)
    generous = each_with(accept(ok=True, name="Ada", more=1), first["inputRequests"])
    assert (await wire.send(retried(request, first, generous))).text == "old.txt: True"


@pytest.mark.spec(ACTIONS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_refusal_ends_the_call_with_an_error_of_the_tool(
    wire: Wire, notes: Notes, tool: str, action: str
):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    reply = await wire.send(retried(request, first, each_with({"action": action}, first["inputRequests"])))
    assert reply.result["isError"] is True
    assert notes.lines("deleted") == []


@pytest.mark.spec(ACTIONS)
@pytest.mark.parametrize("tool", ["delete", "ask_twice"])
async def test_a_refusal_says_what_was_refused(wire: Wire, notes: Notes, tool: str):
    request = asking(tool, notes)
    first = await wire.interrupted(request)
    (question,) = first["inputRequests"].values()
    refusals = each_with({"action": "decline"}, first["inputRequests"])
    assert message_of(question) in (await wire.send(retried(request, first, refusals))).text


@pytest.mark.spec(ACTIONS)
async def test_agreement_means_what_was_ticked(wire: Wire, notes: Notes):
    request = asking("delete", notes)
    first = await wire.interrupted(request)
    reply = await wire.send(retried(request, first, each_with(accept(ok=False), first["inputRequests"])))
    assert reply.text == "old.txt: False"
    assert YES["content"] == {"ok": True}
