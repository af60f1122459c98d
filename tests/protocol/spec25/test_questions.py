"""What a client can be asked, how it may answer, and what it is never asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.answers import SAMPLED
from tests.protocol.spec.notes import Notes
from tests.protocol.spec25.answering import ASK, answer_both
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.session import Session
from tests.protocol.spec25.stream import Message


async def test_sampling_and_roots_are_asked_for(session: Session):
    """client/sampling, client/roots."""
    sampled = await session.create("sample")
    async with session.stream(session.fetching(sampled)) as stream:
        await session.answer(await stream.next("sampling/createMessage"), SAMPLED)
        assert (await stream.reply()).text == "Hello."
    rooted = await session.create("list_roots")
    async with session.stream(session.fetching(rooted)) as stream:
        await session.answer(await stream.next("roots/list"), {"roots": [{"uri": "file:///tmp"}]})
        assert (await stream.reply()).text == "file:///tmp"


async def test_a_page_has_an_id_of_its_own(session: Session):
    """client/elicitation#url-mode-elicitation-requests: `mode`, `url`, `message`, a unique `elicitationId`."""
    ids: set[str] = set()
    for _ in range(2):
        task_id = await session.create("ask_on_a_page")
        async with session.stream(session.fetching(task_id)) as stream:
            params = (asked := await stream.next(ASK))["params"]
            assert (params["mode"], params["url"]) == ("url", "https://sign.example/1")
            ids.add(params["elicitationId"])
            await session.answer(asked, {"action": "accept"})
            assert (await stream.reply()).text == "signed"
        for completed in stream.of("notifications/elicitation/complete"):
            assert completed["params"]["elicitationId"] in ids
    assert len(ids) == 2


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_question_may_be_declined(session: Session, notes: Notes, action: str):
    """client/elicitation#response-actions: the tool goes on without, and the task ends."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        await session.answer(await stream.next(ASK), {"action": action})
        assert (await stream.reply()).result["isError"] is True
    assert (await session.task(task_id))["status"] == "failed"


async def test_a_wrong_answer_that_is_sent_again_is_asked_about_once(session: Session, notes: Notes):
    """basic/index#requests: the request ID MUST NOT have been used before."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        first = await stream.next(ASK)
        for _ in range(5):
            await session.answer(first, {"action": "no such action"})
        await session.accept(await stream.next(ASK), name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"
    assert len({asked["id"] for asked in stream.of(ASK)}) == len(stream.of(ASK)) == 3


async def test_a_client_may_answer_with_an_error(session: Session, notes: Notes):
    """client/sampling#error-handling, client/elicitation#error-handling: the task does not wait for ever."""
    task_id = await session.create("sample")
    async with session.stream(session.fetching(task_id)) as stream:
        asked = await stream.next("sampling/createMessage")
        error = {"code": -1, "message": "User rejected sampling request"}
        await session.accepted({"jsonrpc": "2.0", "id": asked["id"], "error": error})
        reply = await stream.reply()
        assert "error" in reply.message or reply.result["isError"] is True
    assert (await session.task(task_id))["status"] == "failed"


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "accept", "content": {"name": 7}},
        {"action": "accept"},
        {"action": "perhaps"},
        {},
        {"content": {}},
    ],
)
async def test_an_answer_that_does_not_fit_is_not_taken(
    session: Session, notes: Notes, answer: dict[str, Any]
):
    """client/elicitation#security-considerations: SHOULD validate received data."""
    task_id = await session.create("ask_twice", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        question = await stream.next(ASK)
        response = await session.post({"jsonrpc": "2.0", "id": question["id"], "result": answer})
        assert response.status_code in (202, 400)
    status = (await session.task(task_id))["status"]
    assert status != "completed"
    if status == "input_required":
        async with session.stream(session.fetching(task_id)) as stream:
            assert "Who are you?" in (await stream.next(ASK))["params"]["message"]
    await session.request("tasks/cancel", {"taskId": task_id})


@pytest.mark.parametrize(
    ("tool", "offered"),
    [
        ("ask_twice", {}),
        ("ask_twice", {"sampling": {}, "roots": {}}),
        ("ask_twice", {"elicitation": {"url": {}}}),
        ("ask_on_a_page", {"elicitation": {}}),
        ("ask_on_a_page", {"elicitation": {"form": {}}}),
        ("sample", {"elicitation": {}}),
        ("list_roots", {"elicitation": {}}),
    ],
)
@pytest.mark.parametrize("params", [{}, {"task": {}}])
async def test_a_client_is_asked_only_what_it_offered(
    connect: Connect, notes: Notes, tool: str, offered: dict[str, Any], params: dict[str, Any]
):
    """basic/lifecycle#operation: only capabilities that were negotiated; the call ends with an error."""
    session = await connect(offered)
    arguments = notes.directory if tool == "ask_twice" else {}
    reply = await session.call(tool, arguments, **params)
    if params:
        reply = await session.fetch(reply.result["task"]["taskId"])
    assert reply.before == []
    assert "error" in reply.message or reply.result["isError"] is True


async def test_an_empty_elicitation_capability_means_forms(connect: Connect, notes: Notes):
    """client/elicitation#capabilities: equivalent to declaring support for form mode only."""
    session = await connect({"elicitation": {}})
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        await answer_both(session, stream)
        assert (await stream.reply()).text == "Ada: True"


async def test_a_tool_may_ask_another_way(connect: Connect):
    """client/sampling: what the client has offered beside."""
    session = await connect({"sampling": {}})
    async with session.stream(session.calling("ask_somebody")) as stream:
        await session.answer(await stream.next("sampling/createMessage"), SAMPLED)
        assert (await stream.reply()).text == "Hello."


async def test_a_client_that_takes_tasks_is_asked_plainly(connect: Connect, notes: Notes):
    """basic/utilities/tasks#capability-negotiation: task augmentation is the requestor's choice."""
    tasks: Message = {"requests": {"elicitation": {"create": {}}, "sampling": {"createMessage": {}}}}
    session = await connect({"elicitation": {}, "tasks": tasks})
    async with session.stream(session.calling("ask_twice", notes.directory)) as stream:
        question = await stream.next(ASK)
        assert "task" not in question["params"]
        await session.accept(question, name="Ada")
        await session.accept(await stream.next(ASK), ok=True)
        assert (await stream.reply()).text == "Ada: True"
