"""Which calls become tasks, and what their caller is told at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec25.official import MCP, RELATED, TASK_FIELDS
from tests.protocol.spec25.session import TERMINAL, Session


async def tools(session: Session) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in (await session.request("tools/list")).result["tools"]}


async def test_tools_say_whether_they_can_be_tasks(session: Session):
    """basic/utilities/tasks#tool-level-negotiation: absent is forbidden."""
    offered = {
        name: tool.get("execution", {}).get("taskSupport", "forbidden")
        for name, tool in (await tools(session)).items()
    }
    assert offered["greet"] == "forbidden"
    assert offered["succeed"] == "optional"
    assert offered["only_as_task"] == "required"
    assert set(offered.values()) == {"forbidden", "optional", "required"}


async def test_a_tool_that_forbids_tasks_refuses_one(session: Session):
    """basic/utilities/tasks#tool-level-negotiation: SHOULD be -32601."""
    assert (await session.call("greet", {"name": "Ada"}, task={})).code == -32601


async def test_a_tool_that_requires_a_task_refuses_a_plain_call(session: Session):
    """basic/utilities/tasks#tool-level-negotiation: MUST be -32601."""
    assert (await session.call("only_as_task")).code == -32601


async def test_a_tool_that_requires_a_task_runs_as_one(session: Session):
    """basic/utilities/tasks#tool-level-negotiation."""
    assert (await session.fetch(await session.create("only_as_task"))).text == "done"


@pytest.mark.parametrize("params", [{}, {"task": {}}])
async def test_an_unknown_tool_is_an_error(session: Session, params: dict[str, Any]):
    """server/tools#error-handling: -32602, never a task."""
    assert (await session.call("no_such_tool", **params)).code == -32602


async def test_a_new_task_is_working_and_complete(session: Session, notes: Notes):
    """basic/utilities/tasks#creating-tasks, #task-status-lifecycle: MUST begin in `working`."""
    asked = datetime.now(UTC)
    reply = await session.call("hold", notes.directory, task={"ttl": 60_000})
    task = reply.result["task"]
    assert task["status"] == "working"
    assert {"taskId", "status", "createdAt", "lastUpdatedAt", "ttl"} <= task.keys() <= TASK_FIELDS
    created, updated = (datetime.fromisoformat(task[name]) for name in ("createdAt", "lastUpdatedAt"))
    assert abs(created - asked) < timedelta(seconds=60)
    assert created <= updated
    assert task["ttl"] is None or task["ttl"] > 0
    assert task.get("pollInterval", 1) > 0
    assert reply.before == []
    await session.request("tasks/cancel", {"taskId": task["taskId"]})


async def test_a_fast_task_begins_working_too(session: Session):
    """basic/utilities/tasks#task-status-lifecycle: MUST begin in `working`, however soon it ends."""
    for _ in range(5):
        assert (await session.call("succeed", task={})).result["task"]["status"] == "working"


async def test_the_handle_comes_before_the_tool_ends(session: Session, notes: Notes):
    """basic/utilities/tasks#result-retrieval: as soon as possible."""
    task_id = await session.create("hold", notes.directory)
    assert (await session.task(task_id))["status"] == "working"
    notes.leave("go")
    assert (await session.fetch(task_id)).text == "held"


async def test_an_immediate_answer_for_the_model_is_a_text(session: Session):
    """basic/utilities/tasks#creating-tasks: optional, a string."""
    meta = (await session.call("succeed", task={})).result.get("_meta", {})
    assert isinstance(meta.get(MCP + "model-immediate-response", ""), str)


async def test_task_ids_are_unique_and_cannot_be_guessed(session: Session):
    """basic/utilities/tasks#task-id-requirements, #task-isolation-and-access-control."""
    ids = [await session.create("succeed") for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(len(one) >= 22 for one in ids)


@pytest.mark.parametrize("ttl", [1000, 60_000, 10**15])
async def test_a_task_is_kept_as_long_as_was_told(session: Session, ttl: int):
    """basic/utilities/tasks#ttl-and-resource-management: MAY be overridden, the actual one MUST be told."""
    task = (await session.call("succeed", task={"ttl": ttl})).result["task"]
    told: int | None = task["ttl"]
    assert told is None or 0 < told <= 2**53
    await session.fetch(task["taskId"])
    kept: int | None = (await session.task(task["taskId"]))["ttl"]
    assert kept is None or (told is not None and kept >= told)


@pytest.mark.parametrize("task", [[], "yes", 7, {"ttl": "long"}, {"ttl": -1}, {"ttl": {}}])
async def test_a_task_that_does_not_fit_its_schema_is_refused(session: Session, task: Any):
    """schema#taskmetadata: -32602."""
    assert (await session.call("succeed", task=task)).code == -32602


async def test_arguments_that_do_not_fit_never_get_a_result_in_place_of_a_task(session: Session):
    """basic/utilities/tasks#result-retrieval: a task that fails, or a request that is not accepted."""
    plain = await session.call("succeed", {"text": 7})
    assert plain.result["isError"] is True
    reply = await session.call("succeed", {"text": 7}, task={})
    if "error" in reply.message:
        assert reply.code == -32602
    else:
        task_id = reply.result["task"]["taskId"]
        assert (await session.fetch(task_id)).result["isError"] is True


async def test_a_question_before_the_start_does_not_keep_the_handle(session: Session, notes: Notes):
    """basic/utilities/tasks#result-retrieval: MUST be a CreateTaskResult; the task asks."""
    arguments = {"filename": "old.txt", **notes.directory}
    reply = await session.call("delete", arguments, task={})
    assert reply.before == []
    task_id = reply.result["task"]["taskId"]
    await session.reached(task_id, "input_required", *TERMINAL)
    async with session.stream(session.fetching(task_id)) as stream:
        question = await stream.next("elicitation/create")
        assert "old.txt" in question["params"]["message"]
        assert question["params"]["_meta"][RELATED] == {"taskId": task_id}
        await session.accept(question, ok=True)
        assert (await stream.reply()).text == "old.txt: True"


async def test_structured_content_comes_with_its_text(session: Session):
    """server/tools#structured-content: SHOULD also return the serialized JSON in a text block."""
    result = (await session.call("middle", {"a": {"x": 0, "y": 0}, "b": {"x": 2, "y": 4}})).result
    assert result["structuredContent"] == {"x": 1, "y": 2}
    assert result["content"][0]["type"] == "text"
    assert (await tools(session))["middle"]["outputSchema"]["type"] == "object"
