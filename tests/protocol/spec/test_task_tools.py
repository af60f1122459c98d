"""The tools that follow tasks: for hosts that know none, and for everybody else too."""

from __future__ import annotations

import asyncio
from typing import Any

import jsonschema_rs
import pytest

from tasks_server.manifest import SERVER_TOOLS
from tests.protocol.spec.answers import ADA, YES
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, TASKS, Request, calling, retried
from tests.protocol.spec.stack import IMPATIENT_SECONDS, ON_ONE_DATABASE, Stack
from tests.protocol.spec.wire import Reply, Wire
from tests.support.waiting import wait_until

LIST = "server/tools#listing-tools"
CALL = "server/tools#calling-tools"
ERRORS = "server/tools#error-handling"
MRTR = "basic/patterns/mrtr#server-requirements-basic-workflow"

FOLLOWING = ("task_wait", "task_status", "task_result", "task_cancel")
NOBODY_HAS = "0" * 32


async def follow(wire: Wire, tool: str, task_id: str, **arguments: Any) -> Reply:
    """Call one of the tools; what it says fits what it has promised."""
    reply = await wire.call(tool, {"taskId": task_id, **arguments})
    await check_promised(wire, tool, reply)
    return reply


async def check_promised(wire: Wire, tool: str, reply: Reply) -> None:
    (listed,) = [each for each in await wire.items("tools/list") if each["name"] == tool]
    if "outputSchema" in listed and not reply.result.get("isError"):
        shown = jsonschema_rs.validator_for(listed["outputSchema"], offline=True)
        shown.validate(reply.result["structuredContent"])


async def running(wire: Wire, notes: Notes, tool: str = "hold") -> str:
    task_id = await wire.create(tool, notes.directory)
    await notes.seen("started")
    return task_id


def without_meta(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "_meta"}


def told(reply: Reply) -> tuple[bool, str]:
    """Whether it is an error, and which status it names."""
    return reply.result.get("isError", False), reply.result["structuredContent"]["status"]


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


# --- task_wait -------------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_waiting_ends_with_the_result_itself(wire: Wire, other: Wire, notes: Notes):
    task_id = await running(wire, notes)
    waiting = asyncio.create_task(follow(other, "task_wait", task_id))
    notes.leave("go")
    assert (await waiting).result["content"] == [{"type": "text", "text": "held"}]


@pytest.mark.spec(CALL)
async def test_waiting_ends_in_time_for_a_host_that_gives_up(impatient: Wire, notes: Notes):
    task_id = await running(impatient, notes)
    reply = await follow(impatient, "task_wait", task_id, seconds=600)
    assert told(reply) == (False, "working")
    assert reply.text == (
        f"Task {task_id} (hold) is running. There is no result yet: call task_wait with the same taskId."
    )
    notes.leave("go")


@pytest.mark.spec(CALL)
@pytest.mark.parametrize("seconds", [0, IMPATIENT_SECONDS])
async def test_waiting_lasts_as_long_as_it_is_told(wire: Wire, notes: Notes, seconds: float):
    task_id = await running(wire, notes)
    assert told(await follow(wire, "task_wait", task_id, seconds=seconds)) == (False, "working")
    notes.leave("go")


@pytest.mark.spec("basic/patterns/progress#progress-flow")
async def test_progress_is_told_while_waiting(wire: Wire, notes: Notes):
    task_id = await wire.create("report", notes.directory)
    await notes.seen("reported")
    request = calling("task_wait", {"taskId": task_id}).meta("progressToken", "p")
    async with wire.stream(request) as stream:
        first = await stream.next("notifications/progress")
        notes.leave("go")
        answer = await stream.ended()
    assert first["params"]["progressToken"] == "p"
    assert answer["result"]["content"][0]["text"] == "reported"


@pytest.mark.spec(CALL)
async def test_hanging_up_while_waiting_leaves_the_task_alone(wire: Wire, impatient: Wire, notes: Notes):
    task_id = await wire.create("report", notes.directory)
    await notes.seen("reported")
    async with wire.stream(calling("task_wait", {"taskId": task_id}).meta("progressToken", "p")) as stream:
        await stream.next("notifications/progress")
    await impatient.call("hold", notes.directory)  # is answered with a task, later than a hang-up is noticed
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"
    assert notes.lines("stopped") == []


@pytest.mark.spec(MRTR)
async def test_a_question_of_the_task_is_put_to_who_waits(wire: Wire, other: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    request = calling("task_wait", {"taskId": task_id}, FORM)
    first = await wire.interrupted(request)
    assert first["inputRequests"]["who"]["params"]["message"] == "Who are you?"
    second = await other.interrupted(retried(request, first, {"who": ADA}))
    assert list(second["inputRequests"]) == ["agreed"]
    assert (await wire.send(retried(request, second, {"agreed": YES}))).text == "Ada: True"


@pytest.mark.spec(MRTR)
async def test_an_answer_that_does_not_fit_leaves_the_question_open(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    request = calling("task_wait", {"taskId": task_id}, FORM)
    first = await wire.interrupted(request)
    assert (await wire.send(retried(request, first, {"who": YES}))).error["code"] == -32602
    assert list((await wire.interrupted(request))["inputRequests"]) == ["who"]


@pytest.mark.spec(MRTR)
async def test_a_forged_state_is_refused(wire: Wire, notes: Notes):
    task_id = await running(wire, notes)
    forged = calling("task_wait", {"taskId": task_id}).params(requestState="forged")
    assert (await wire.send(forged)).error["code"] == -32602
    notes.leave("go")


@pytest.mark.spec(MRTR)
async def test_who_cannot_be_asked_is_told_what_the_task_waits_for(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    await wire.asked(task_id)
    reply = await follow(wire, "task_wait", task_id)
    assert told(reply) == (True, "input_required")
    assert reply.result["structuredContent"]["questions"] == ["Who are you?"]
    assert "Who are you?" in reply.text


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


# --- task_list -------------------------------------------------------------------------------------------------


async def listed(wire: Wire, **arguments: Any) -> dict[str, Any]:
    reply = await wire.call("task_list", arguments)
    await check_promised(wire, "task_list", reply)
    return reply.result["structuredContent"]


@pytest.mark.spec(CALL)
async def test_the_newest_tasks_are_listed_first(impatient: Wire, wire: Wire, notes: Notes):
    handle = await wire.create("hold", notes.directory)
    detached = (await impatient.call("hold", notes.directory)).result["structuredContent"]["taskId"]
    direct = asyncio.create_task(wire.call("hold", notes.directory))
    started = await wait_until(lambda: len(notes.lines("started")) == 3, describing="three tasks")
    assert started
    tasks = (await listed(wire))["tasks"]
    assert [(task["taskId"], task["tool"]) for task in tasks[:2]] == [(detached, "hold"), (handle, "hold")]
    # Of a call that is waited for nobody has the id.
    assert not {task["taskId"] for task in tasks} & (set(notes.lines("started")) - {handle, detached})
    notes.leave("go")
    await direct


@pytest.mark.spec(CALL)
async def test_a_call_that_is_waited_for_cannot_be_followed(wire: Wire, notes: Notes):
    direct = asyncio.create_task(wire.call("hold", notes.directory))
    (task_id,) = await notes.seen("started")
    for tool in FOLLOWING:
        assert (await follow(wire, tool, task_id)).text.startswith("Task not found.")
    notes.leave("go")
    assert (await direct).text == "held"


@pytest.mark.spec("server/utilities/pagination#pagination-model")
async def test_a_long_list_is_continued_where_it_ended(wire: Wire, other: Wire):
    created = set(await asyncio.gather(*(wire.create("succeed") for _ in range(25))))
    first = await listed(wire)
    await wire.create("succeed")
    second = await listed(other, cursor=first["nextCursor"])
    ids = [task["taskId"] for page in (first, second) for task in page["tasks"]]
    assert len(first["tasks"]) == 20
    assert set(ids[:25]) == created


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("cursor", ["", "nonsense", "bnVsbA=="])
async def test_a_cursor_of_no_list_is_an_error_of_the_tool(wire: Wire, cursor: str):
    reply = await wire.call("task_list", {"cursor": cursor})
    assert reply.result["isError"] is True
    assert reply.text.startswith("The cursor is not one")


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
