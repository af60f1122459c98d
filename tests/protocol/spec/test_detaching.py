"""A call that takes too long for a host without tasks is answered with its task, which goes on."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import jsonschema_rs
import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, TASKS, calling, retried
from tests.protocol.spec.stack import ON_ONE_DATABASE, Stack, endpoint
from tests.protocol.spec.tools.lasting import SHAPES
from tests.protocol.spec.wire import Reply, Wire
from tests.unit.protocol.schemas import MOVABLE

OUTPUT = "server/tools#output-schema"
CALL = "server/tools#calling-tools"

YES = {"action": "accept", "content": {"ok": True}}


def task_id_in(reply: Reply) -> str:
    """Where the answer is a task, as a model finds it."""
    found = re.search(r"taskId ([0-9a-f]{32})", reply.text)
    assert found, reply.text
    return found[1]


async def result_of(wire: Wire, task_id: str) -> dict[str, Any]:
    return (await wire.call("task_wait", {"taskId": task_id})).result


async def schema_of(wire: Wire, tool: str) -> Any:
    (shown,) = [each for each in await wire.items("tools/list") if each["name"] == tool]
    return shown.get("outputSchema")


# --- the answer ------------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_a_call_that_takes_long_is_answered_with_its_task(impatient: Wire, notes: Notes):
    reply = await impatient.call("hold", notes.directory)
    assert reply.result["resultType"] == "complete"
    assert "isError" not in reply.result
    assert reply.result["structuredContent"]["status"] == "working"
    assert task_id_in(reply) == reply.result["structuredContent"]["taskId"]
    assert {"hold", "task_wait", "task_status"} <= set(re.findall(r"\w+", reply.text))
    notes.leave("go")


@pytest.mark.spec(CALL)
async def test_its_result_comes_from_any_server(impatient: Wire, other: Wire, notes: Notes):
    task_id = task_id_in(await impatient.call("hold", notes.directory))
    notes.leave("go")
    assert (await result_of(other, task_id))["content"] == [{"type": "text", "text": "held"}]
    assert notes.lines("started") == [task_id]


@pytest.mark.spec(CALL)
async def test_the_task_goes_on_when_its_caller_hangs_up(impatient: Wire, wire: Wire, notes: Notes):
    async with impatient.stream(calling("hold", notes.directory).meta("progressToken", "p")) as stream:
        answer = await stream.ended()
    task_id = answer["result"]["structuredContent"]["taskId"]
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"
    assert notes.lines("stopped") == []


@pytest.mark.spec(CALL)
async def test_a_task_that_was_answered_with_is_one_like_any_other(impatient: Wire, wire: Wire, notes: Notes):
    task_id = task_id_in(await impatient.call("hold", notes.directory))
    assert (await wire.task(task_id))["status"] == "working"
    assert "result" in (await wire.cancel(task_id)).message
    assert (await wire.reached(task_id, "cancelled"))["status"] == "cancelled"
    assert await notes.seen("stopped") == [task_id]


@pytest.mark.spec("basic/patterns/mrtr#server-requirements-basic-workflow")
async def test_what_the_task_asks_later_is_asked_by_who_waits(impatient: Wire, wire: Wire, notes: Notes):
    task_id = task_id_in(await impatient.call("hold_then_ask", notes.directory, FORM))
    notes.leave("go")
    request = calling("task_wait", {"taskId": task_id}, FORM)
    first = await wire.interrupted(request)
    assert first["inputRequests"]["was"]["params"]["message"] == "Was it held?"
    assert (await wire.send(retried(request, first, {"was": YES}))).text == "held: True"


@pytest.mark.spec("server/tools#error-handling")
@pytest.mark.parametrize(
    ("badly", "text"),
    [(False, "The printer is on fire."), (True, "hold_then_fail has failed: The ledger is closed.")],
)
async def test_how_the_task_fails_later_is_told(
    impatient: Wire, wire: Wire, notes: Notes, badly: bool, text: str
):
    arguments = {**notes.directory, "badly": badly}
    task_id = task_id_in(await impatient.call("hold_then_fail", arguments))
    notes.leave("go")
    result = await result_of(wire, task_id)
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": text}]


# --- who is never answered like this ------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_a_tool_that_is_never_a_task_is_waited_for(impatient: Wire, notes: Notes):
    direct = asyncio.create_task(impatient.call("hold_directly", notes.directory))
    await notes.seen("started directly")
    task_id_in(await impatient.call("hold", notes.directory))  # by now the first one has waited as long
    notes.leave("go")
    assert (await direct).text == "held directly"


@ON_ONE_DATABASE
@pytest.mark.spec(CALL)
async def test_an_operator_may_let_calls_wait_for_as_long_as_they_take(stack: Stack, wire: Wire):
    server = stack.serve(TASKS_ATTACHED_WAIT_SECONDS="0", TASKS_ALLOW_UNAUTHENTICATED="true")
    patient = Wire(wire.http, await endpoint(server))
    assert await schema_of(patient, "shaped_0") == SHAPES[0].schema
    assert await schema_of(wire, "shaped_0") != SHAPES[0].schema
    # Strangers may share an owner there, so nobody is shown a list of tasks.
    names = [tool["name"] for tool in await patient.items("tools/list")]
    assert "task_wait" in names
    assert "task_list" not in names
    assert (await patient.call("task_list")).error["code"] == -32602
    await server.stop()


# --- calls that come back -------------------------------------------------------------------------------------------


@pytest.mark.spec(CALL)
async def test_a_call_under_a_key_finds_its_task_again(impatient: Wire, wire: Wire, notes: Notes):
    request = calling("hold", notes.directory).header("Idempotency-Key", notes.path.name)
    task_id = task_id_in(await impatient.send(request))
    assert task_id_in(await impatient.send(request)) == task_id
    notes.leave("go")
    assert (await result_of(wire, task_id))["content"][0]["text"] == "held"
    assert (await impatient.send(request)).text == "held"


@pytest.mark.spec("basic/patterns/mrtr#server-requirements-basic-workflow")
async def test_a_call_that_has_asked_is_answered_with_its_task_too(impatient: Wire, wire: Wire, notes: Notes):
    request = calling("ask_then_hold", notes.directory, FORM)
    first = await wire.interrupted(request)
    task_id = task_id_in(await impatient.send(retried(request, first, {"may": YES})))
    # Whoever comes back with the old state follows the same task, which is not theirs to end any more.
    async with wire.stream(retried(request, first, {"may": YES}).meta("progressToken", "p")) as stream:
        await stream.next("notifications/progress")
    task_id_in(await impatient.call("hold", notes.directory))  # which takes longer than noticing a hang-up
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"


# --- schemas --------------------------------------------------------------------------------------------------------


@ON_ONE_DATABASE
@pytest.mark.spec(OUTPUT)
@pytest.mark.parametrize("number", range(len(SHAPES)), ids=[shape.name for shape in SHAPES])
async def test_both_answers_fit_the_schema_that_is_shown(
    impatient: Wire, wire: Wire, notes: Notes, number: int
):
    shown = jsonschema_rs.validator_for(await schema_of(impatient, f"shaped_{number}"), offline=True)
    reply = await impatient.call(f"shaped_{number}", notes.directory)
    if SHAPES[number] in MOVABLE:
        shown.validate(reply.result["structuredContent"])
        assert "isError" not in reply.result
    else:
        assert reply.result["isError"] is True
        assert "structuredContent" not in reply.result
    notes.leave("go")
    result = await result_of(wire, task_id_in(reply))
    assert result["structuredContent"] == SHAPES[number].result
    shown.validate(result["structuredContent"])


@ON_ONE_DATABASE
@pytest.mark.spec(OUTPUT)
async def test_a_client_that_takes_handles_is_shown_the_same(wire: Wire):
    assert (await wire.request("tools/list", {}, TASKS)).result == (await wire.request("tools/list")).result
