"""A client is asked only what it can be asked; and what comes first, the question or the task."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.answers import answers
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, FORM_AND_URL, SAMPLING, TASKS, calling, retried
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire

CAPABILITIES = "basic/index#meta"
WORKFLOW = "basic/patterns/mrtr#server-requirements-basic-workflow"
MODES = "client/elicitation#capabilities"


# --- only what the client can ------------------------------------------------------------------------------------


@ON_ONE_DATABASE
@pytest.mark.spec(CAPABILITIES)
@pytest.mark.parametrize(
    ("tool", "capabilities", "required"),
    [
        ("sample", FORM, {"sampling": {}}),
        ("list_roots", FORM, {"roots": {}}),
        ("ask_on_a_page", {}, {"elicitation": {"url": {}}}),
        ("ask_on_a_page", FORM, {"elicitation": {"url": {}}}),
        ("ask_on_a_page", {"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}),
        ("ask_the_same_twice", SAMPLING, {"elicitation": {"form": {}}}),
        ("ask_the_same_twice", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
    ],
    ids=str,
)
async def test_a_client_that_cannot_be_asked_is_told_what_it_lacks(
    wire: Wire, tool: str, capabilities: dict[str, Any], required: dict[str, Any]
):
    reply = await wire.call(tool, {}, capabilities)
    assert reply.refusal == (400, -32021)
    found = reply.error["data"]["requiredCapabilities"]
    assert found == required or (found, required) == ({"elicitation": {}}, {"elicitation": {"form": {}}})


@pytest.mark.spec(CAPABILITIES)
async def test_a_question_before_the_call_needs_its_capability_too(wire: Wire, notes: Notes):
    reply = await wire.call("delete", {"filename": "old.txt", **notes.directory})
    assert reply.refusal == (400, -32021)
    assert "elicitation.form" in reply.error["message"]
    assert "elicitation" in reply.error["data"]["requiredCapabilities"]


@pytest.mark.spec(WORKFLOW)
async def test_a_tool_may_ask_in_another_way_what_the_client_cannot_be_asked(wire: Wire):
    result = (await wire.call("ask_somebody", {}, SAMPLING)).result
    assert [question["method"] for question in result["inputRequests"].values()] == ["sampling/createMessage"]


@ON_ONE_DATABASE
@pytest.mark.spec(MODES)
@pytest.mark.parametrize("elicitation", [{}, {"form": {}}, {"form": {}, "url": {}}], ids=str)
async def test_forms_go_to_clients_that_show_forms(wire: Wire, elicitation: dict[str, Any]):
    result = (await wire.call("ask_the_same_twice", {}, {"elicitation": elicitation})).result
    (question,) = result["inputRequests"].values()
    assert question["params"].get("mode", "form") == "form"


@pytest.mark.spec("client/elicitation#url-mode-elicitation-requests")
async def test_a_page_goes_to_clients_that_open_pages(wire: Wire):
    request = calling("ask_on_a_page", {}, FORM_AND_URL)
    first = await wire.interrupted(request)
    ((key, question),) = first["inputRequests"].items()
    assert question["params"] == {"mode": "url", "message": "Please sign", "url": "https://sign.example/1"}
    assert (await wire.send(retried(request, first, {key: {"action": "accept"}}))).text == "signed"


# --- together with tasks -----------------------------------------------------------------------------------------


@pytest.mark.spec("ext-tasks#task-creation")
@pytest.mark.parametrize("tool", ["delete", "delete_as_task"])
async def test_questions_before_the_task_are_settled_before_it_is_created(
    wire: Wire, notes: Notes, tool: str
):
    arguments = {"filename": "old.txt", **(notes.directory if tool == "delete" else {})}
    request = calling(tool, arguments, FORM, TASKS)
    first = await wire.interrupted(request)
    assert "taskId" not in first
    created = (await wire.send(retried(request, first, answers(first["inputRequests"])))).result
    assert created["resultType"] == "task"
    assert not {"inputRequests", "requestState"} & created.keys()
    task = await wire.reached(created["taskId"], "completed")
    assert task["result"]["content"][0]["text"] == "old.txt: True"


@pytest.mark.spec("ext-tasks#task-update-requests")
async def test_questions_of_a_task_come_through_the_task(wire: Wire, notes: Notes):
    result = (await wire.call("ask_twice", notes.directory, FORM, TASKS)).result
    assert result["resultType"] == "task"


@pytest.mark.spec("basic/index#meta")
async def test_the_tasks_extension_is_missed_before_anything_is_asked(wire: Wire):
    reply = await wire.call("delete_as_task", {"filename": "old.txt"}, FORM)
    assert reply.refusal == (400, -32021)
    assert reply.error["data"] == {"requiredCapabilities": TASKS}


@pytest.mark.spec("server/tools#error-handling")
async def test_invalid_arguments_are_told_before_anything_is_asked(wire: Wire):
    assert (await wire.call("delete_as_task", {}, FORM, TASKS)).result["isError"] is True
