"""`task_wait`: the result of a task, its progress and its questions, for as long as a host waits."""

from __future__ import annotations

import asyncio

import pytest

from tests.protocol.spec.answers import ADA, YES
from tests.protocol.spec.following import follow, running, told
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, calling, retried
from tests.protocol.spec.stack import IMPATIENT_SECONDS
from tests.protocol.spec.wire import Wire

CALL = "server/tools#calling-tools"
MRTR = "basic/patterns/mrtr#server-requirements-basic-workflow"


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
