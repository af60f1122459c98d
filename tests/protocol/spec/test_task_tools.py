"""The tools that follow tasks: for hosts that know none, and for everybody else too."""

from __future__ import annotations

from typing import Any

import pytest

from tasks_server.manifest import SERVER_TOOLS
from tests.protocol.spec.following import FOLLOWING, follow, listed, running, told, without_meta
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, TASKS, Request
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack
from tests.protocol.spec.wire import Reply, Wire
from tests.support.waiting import wait_until

LIST = "server/tools#listing-tools"
CALL = "server/tools#calling-tools"
ERRORS = "server/tools#error-handling"

NOBODY_HAS = "0" * 32


# --- tools/list ------------------------------------------------------------------------------------------------


@pytest.mark.spec(LIST)
async def test_they_are_listed_behind_the_tools_of_the_workers(wire: Wire):
    names = [tool["name"] for tool in await wire.items("tools/list")]
    assert set(names[-5:]) == SERVER_TOOLS
    assert len(names) == len(set(names))


@pytest.mark.spec(LIST)
async def test_only_cancelling_changes_anything(wire: Wire):
    tools = {tool["name"]: tool for tool in await wire.items("tools/list")}
    changing = {name for name in SERVER_TOOLS if not tools[name]["annotations"]["readOnlyHint"]}
    assert changing == {"task_cancel"}


# --- task_result -----------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
@pytest.mark.parametrize("tool", ["succeed", "fail", "shaped_0"])
async def test_the_result_is_exactly_the_tools(wire: Wire, notes: Notes, tool: str):
    notes.leave("go")
    arguments = notes.directory if tool == "shaped_0" else {}
    direct = (await wire.call(tool, arguments)).result
    task_id = await wire.create(tool, arguments)
    await wire.reached(task_id, "completed")
    for follower in ("task_result", "task_wait", "task_result"):
        assert (await follow(wire, follower, task_id)).result == direct


@pytest.mark.spec(CALL)
async def test_a_protocol_error_becomes_an_error_that_the_model_can_read(wire: Wire):
    task_id = await wire.create("fault")
    await wire.reached(task_id, "failed")
    for follower in ("task_result", "task_wait"):
        reply = await follow(wire, follower, task_id)
        assert reply.result["isError"] is True
        assert reply.text == "fault has failed: The ledger is closed."


@pytest.mark.spec(CALL)
async def test_a_task_that_goes_on_has_no_result_yet(wire: Wire, notes: Notes):
    task_id = await running(wire, notes)
    reply = await follow(wire, "task_result", task_id)
    assert told(reply) == (True, "working")
    assert "call task_wait" in reply.text
    notes.leave("go")


# --- task_status -----------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_the_status_says_how_far_the_task_is(wire: Wire, notes: Notes):
    task_id = await wire.create("report", notes.directory)

    async def look() -> Reply | None:
        reply = await follow(wire, "task_status", task_id)
        return reply if reply.result["structuredContent"].get("progress") == 3 else None

    found = await wait_until(look, describing="progress in the status")
    assert found is not None
    assert found.result["structuredContent"]["total"] == 3
    assert found.text == f"Task {task_id} (report) is running at 3 of 3: part 3."
    notes.leave("go")


@pytest.mark.spec(CALL)
async def test_the_status_repeats_what_the_tool_says(wire: Wire, notes: Notes):
    task_id = await running(wire, notes, "say")
    await wire.saying(task_id, "Looking for a pen")
    assert (await follow(wire, "task_status", task_id)).text.endswith("is running: Looking for a pen.")
    notes.leave("go")
    notes.leave("end")


@pytest.mark.spec(CALL)
@pytest.mark.parametrize(
    ("tool", "status", "is_error", "text"),
    [
        ("succeed", "completed", False, "is done. Call task_result for its result."),
        ("fail", "completed", True, "has ended with an error. Call task_result for its result."),
        ("fault", "failed", True, "has failed: The ledger is closed."),
    ],
)
async def test_the_status_says_how_it_ended(wire: Wire, tool: str, status: str, is_error: bool, text: str):
    task_id = await wire.create(tool)
    await wire.reached(task_id, status)
    reply = await follow(wire, "task_status", task_id)
    assert told(reply) == (False, status)
    assert reply.result["structuredContent"]["isError"] is is_error
    assert reply.text == f"Task {task_id} ({tool}) {text}"


@pytest.mark.spec(CALL)
async def test_the_status_says_what_the_task_has_to_be_told(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    await wire.asked(task_id)
    reply = await follow(wire, "task_status", task_id)
    assert told(reply) == (False, "input_required")
    assert reply.text.endswith("waits for an answer: Who are you? Call task_wait, which asks the user.")


# --- task_cancel -----------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_cancelling_stops_the_work(wire: Wire, notes: Notes):
    task_id = await running(wire, notes)
    reply = await follow(wire, "task_cancel", task_id)
    assert reply.text.split(") ")[1] in ("is being stopped: Cancelling.", "was cancelled.")
    assert await notes.seen("stopped") == [task_id]
    await wire.reached(task_id, "cancelled")
    assert (await follow(wire, "task_wait", task_id)).text.endswith("was cancelled. It has no result.")


@pytest.mark.spec(CALL)
async def test_cancelling_what_has_ended_changes_nothing(wire: Wire):
    task_id = await wire.create("succeed")
    await wire.reached(task_id, "completed")
    reply = await follow(wire, "task_cancel", task_id)
    assert told(reply) == (False, "completed")
    assert reply.text == f"There is nothing to stop. Task {task_id} (succeed) is done."
    assert (await follow(wire, "task_result", task_id)).text == "done"


# --- what cannot be done ----------------------------------------------------------------------------------------


@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", FOLLOWING)
@pytest.mark.parametrize("task_id", [NOBODY_HAS, "", "\0", "../etc/passwd"])
async def test_a_task_nobody_has_is_an_error_of_the_tool(wire: Wire, tool: str, task_id: str):
    reply = await follow(wire, tool, task_id)
    assert reply.result["isError"] is True
    assert reply.text == "Task not found. It may have expired, or the id may be wrong."


@pytest.mark.spec("ext-tasks#security-considerations")
async def test_a_task_of_somebody_else_is_one_nobody_has(wire: Wire, stack: Stack, notes: Notes):
    task_id = await running(wire, notes)
    await stack.execute("UPDATE task SET owner = 'somebody else' WHERE id = :id", id=task_id)
    answers = [without_meta((await follow(wire, tool, task_id)).result) for tool in FOLLOWING]
    nobody = [without_meta((await follow(wire, tool, NOBODY_HAS)).result) for tool in FOLLOWING]
    assert answers == nobody
    assert task_id not in str(await listed(wire))
    notes.leave("go")


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("tool", FOLLOWING)
@pytest.mark.parametrize(
    "arguments", [{}, {"taskId": 7}, {"taskId": NOBODY_HAS, "more": 1}, {"task_id": "x"}], ids=str
)
async def test_arguments_that_do_not_fit_are_an_error_of_the_tool(wire: Wire, tool: str, arguments: Any):
    reply = await wire.call(tool, arguments)
    assert reply.result["isError"] is True
    assert reply.text.startswith("The arguments do not fit:")


@pytest.mark.spec("ext-tasks#capability-negotiation")
@pytest.mark.parametrize("tool", FOLLOWING)
async def test_they_are_no_tasks_themselves(wire: Wire, notes: Notes, tool: str):
    task_id = await running(wire, notes)
    notes.leave("go")
    reply = await wire.send(Request.of("tools/call", {"name": tool, "arguments": {"taskId": task_id}}, TASKS))
    assert reply.result["resultType"] == "complete"
