"""Questions of a running task: `inputRequests` in `tasks/get`, answers by `tasks/update`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.answers import ADA, YES, answers, each_with, message_of
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, FORM_AND_URL, ROOTS, SAMPLING, accept
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire

UPDATE = "ext-tasks#task-update-requests"
RESPONSE = "ext-tasks#task-update-requests/response"
STATUS = "ext-tasks#task-status"


def key_of(questions: dict[str, Any], message: str) -> str:
    (key,) = [key for key, question in questions.items() if message_of(question) == message]
    return key


async def text_of(wire: Wire, task_id: str) -> str:
    return (await wire.reached(task_id, "completed", "failed"))["result"]["content"][0]["text"]


# --- answering -----------------------------------------------------------------------------------------------------


@pytest.mark.spec(UPDATE)
async def test_answers_let_the_task_go_on(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    first = await wire.asked(task_id)
    await wire.update(task_id, answers(first))
    second = await wire.asked_anew(task_id, first)
    await wire.update(task_id, answers(second))
    assert await text_of(wire, task_id) == "Ada: True"


@pytest.mark.spec(RESPONSE)
async def test_an_update_is_acknowledged_with_an_empty_result(wire: Wire):
    task_id = await wire.create("ask_the_same_twice", {}, FORM)
    result = (await wire.update(task_id, answers(await wire.asked(task_id)))).result
    assert result.keys() == {"resultType", "_meta"}
    assert result["resultType"] == "complete"
    await wire.cancel(task_id)


@pytest.mark.spec(UPDATE)
async def test_waiting_and_going_on_does_nothing_twice(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    first = await wire.asked(task_id)
    await wire.update(task_id, answers(first))
    await wire.update(task_id, answers(await wire.asked_anew(task_id, first)))
    await wire.reached(task_id, "completed")
    assert set(notes.lines("tasks")) == {task_id}
    assert len(notes.lines("effects")) == 1


@pytest.mark.spec(RESPONSE)
async def test_questions_may_be_answered_one_by_one(wire: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    questions = await wire.all_asked(task_id, 2)
    for key, answer in answers(questions).items():
        await wire.update(task_id, {key: answer})
    assert await text_of(wire, task_id) == "Ada: True"


@pytest.mark.spec(RESPONSE)
async def test_an_answered_question_is_gone_at_once_on_every_server(wire: Wire, other: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    questions = await wire.all_asked(task_id, 2)
    who = key_of(questions, "Who are you?")
    await wire.update(task_id, {who: ADA})
    for client in (wire, other):
        task = await client.task(task_id)
        assert task["status"] == "input_required"
        assert task["inputRequests"].keys() == questions.keys() - {who}
    await wire.cancel(task_id)


@pytest.mark.spec(STATUS)
async def test_a_task_works_on_as_soon_as_everything_is_answered(wire: Wire, other: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    await wire.update(task_id, answers(await wire.all_asked(task_id, 2)))
    assert (await other.task(task_id))["status"] in ("working", "completed")


@pytest.mark.spec("client/elicitation#response-actions")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_refusal_is_an_answer_too(wire: Wire, notes: Notes, action: str):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    await wire.update(task_id, each_with({"action": action}, await wire.asked(task_id)))
    task = await wire.reached(task_id, "completed")
    assert task["result"]["isError"] is True


@pytest.mark.spec(UPDATE)
@pytest.mark.parametrize(
    ("tool", "capability", "text"),
    [
        ("sample", SAMPLING, "Hello."),
        ("list_roots", ROOTS, "file:///home/ada"),
        ("ask_on_a_page", FORM_AND_URL, "signed"),
    ],
)
async def test_every_kind_of_question_reaches_the_client(
    wire: Wire, tool: str, capability: dict[str, Any], text: str
):
    task_id = await wire.create(tool, {}, capability)
    await wire.update(task_id, answers(await wire.asked(task_id)))
    assert await text_of(wire, task_id) == text


@pytest.mark.spec("basic/index#meta")
@pytest.mark.parametrize("capability", [{}, SAMPLING, {"elicitation": {"url": {}}}], ids=str)
async def test_a_task_whose_client_cannot_be_asked_fails_with_what_it_lacks(
    wire: Wire, capability: dict[str, Any]
):
    task = await wire.reached(await wire.create("ask_the_same_twice", {}, capability), "failed")
    assert task["error"]["code"] == -32021
    assert "elicitation" in task["error"]["data"]["requiredCapabilities"]
    assert "ask_the_same_twice" in task["error"]["message"]
    assert "elicitation.form" in task["error"]["message"]


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec(UPDATE)
async def test_a_key_is_never_used_for_a_second_question(wire: Wire):
    task_id = await wire.create("ask_the_same_twice", {}, FORM)
    first = await wire.asked(task_id)
    await wire.update(task_id, each_with(accept(name="Ada"), first))
    second = await wire.asked_anew(task_id, first)
    assert not first.keys() & second.keys()
    await wire.update(task_id, each_with(accept(name="Grace"), second))
    assert await text_of(wire, task_id) == "Ada and Grace"


@pytest.mark.spec(UPDATE)
async def test_a_question_keeps_its_key_for_as_long_as_it_is_open(wire: Wire, other: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    questions = await wire.all_asked(task_id, 2)
    for client in (wire, other, wire):
        assert (await client.task(task_id))["inputRequests"] == questions
    await wire.cancel(task_id)


@pytest.mark.spec(RESPONSE)
@pytest.mark.parametrize("value", [{"ignored": True}, None, 12345, ADA], ids=str)
async def test_answers_to_nothing_are_acknowledged_unread(wire: Wire, value: Any):
    task_id = await wire.create("ask_the_same_twice", {}, FORM)
    questions = await wire.asked(task_id)
    assert (await wire.update(task_id, {"never asked": value, "\x00": value, "": value})).status == 200
    assert (await wire.task(task_id))["inputRequests"] == questions
    await wire.cancel(task_id)


@pytest.mark.spec(RESPONSE)
@pytest.mark.parametrize("value", [accept(name="Grace"), {"action": "decline"}, 12345, None], ids=str)
async def test_the_first_answer_counts(wire: Wire, value: Any):
    task_id = await wire.create("ask_together", {}, FORM)
    questions = await wire.all_asked(task_id, 2)
    who, agreed = key_of(questions, "Who are you?"), key_of(questions, "Do you agree?")
    await wire.update(task_id, {who: ADA})
    assert (await wire.update(task_id, {who: value})).status == 200
    await wire.update(task_id, {who: value, agreed: YES})
    assert await text_of(wire, task_id) == "Ada: True"


@pytest.mark.spec(RESPONSE)
async def test_answers_to_a_task_that_has_ended_are_acknowledged(wire: Wire):
    task_id = await wire.create("succeed")
    await wire.reached(task_id, "completed")
    assert (await wire.update(task_id, {"late": 12345})).result["resultType"] == "complete"


# --- answers that are none -----------------------------------------------------------------------------------------


@ON_ONE_DATABASE
@pytest.mark.spec(RESPONSE)
@pytest.mark.parametrize(
    "value",
    [
        None,
        12345,
        "yes",
        [],
        {},
        {"action": "maybe"},
        {"action": "accept"},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"name": 5}},
    ],
    ids=str,
)
async def test_an_invalid_answer_is_refused_and_the_question_stays(wire: Wire, value: Any):
    task_id = await wire.create("ask_the_same_twice", {}, FORM)
    questions = await wire.asked(task_id)
    (key,) = questions
    reply = await wire.update(task_id, {key: value})
    assert reply.error["code"] == -32602
    assert key in reply.error["message"]
    assert (await wire.task(task_id))["inputRequests"] == questions
    await wire.cancel(task_id)


@pytest.mark.spec(RESPONSE)
async def test_more_content_than_was_asked_for_is_no_harm(wire: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    generous = each_with(accept(name="Ada", ok=True, more=1), await wire.all_asked(task_id, 2))
    await wire.update(task_id, generous)
    assert await text_of(wire, task_id) == "Ada: True"
