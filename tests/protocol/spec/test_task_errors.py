"""Who may ask about a task at all, and ids that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import TASKS, Request, encoded, listening
from tests.protocol.spec.stack import Stack
from tests.protocol.spec.wire import Wire

PROTOCOL_ERRORS = "ext-tasks#protocol-errors"
SECURITY = "ext-tasks#security-considerations"
TTL = "ext-tasks#task-polling"

METHODS = ["tasks/get", "tasks/update", "tasks/cancel"]
MISSING: dict[str, Any] = {"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
NOWHERE = ["unknown", "0" * 32, "", "x" * 5000, "é☃", "a\x00b", "' OR 1=1 --", "%"]


def about(method: str, task_id: Any, *capabilities: dict[str, Any]) -> Request:
    params: dict[str, Any] = (
        {"taskId": task_id, "inputResponses": {}} if method == "tasks/update" else {"taskId": task_id}
    )
    request = Request.of(method, params, *capabilities)
    return request.header("Mcp-Name", encoded(task_id)) if isinstance(task_id, str) else request


# --- the capability ------------------------------------------------------------------------------------------------


@pytest.mark.spec(PROTOCOL_ERRORS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "capabilities",
    [{}, {"tasks": {"list": {}, "cancel": {}}}, {"extensions": {}}],
    ids=["none", "legacy", "others"],
)
async def test_a_client_without_tasks_is_told_so(wire: Wire, method: str, capabilities: dict[str, Any]):
    reply = await wire.send(about(method, await wire.create("succeed"), capabilities))
    assert reply.refusal == (400, -32021)
    assert reply.error["data"] == MISSING


@pytest.mark.spec(PROTOCOL_ERRORS)
@pytest.mark.parametrize("method", METHODS)
async def test_the_capability_is_missed_before_the_task_is_looked_for(wire: Wire, method: str):
    assert (await wire.send(about(method, "unknown"))).refusal == (400, -32021)


@pytest.mark.spec(PROTOCOL_ERRORS)
@pytest.mark.parametrize("task_ids", [["unknown"], []], ids=str)
async def test_a_client_without_tasks_cannot_listen_to_tasks(wire: Wire, task_ids: list[str]):
    reply = await wire.send(listening({"taskIds": task_ids}))
    assert reply.refusal == (400, -32021)
    assert reply.error["data"] == MISSING


@pytest.mark.spec(PROTOCOL_ERRORS)
async def test_a_cancel_without_the_capability_cancels_nothing(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await wire.send(about("tasks/cancel", task_id))
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"


# --- ids -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec(PROTOCOL_ERRORS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task_id", NOWHERE, ids=lambda task_id: repr(task_id)[:20])
async def test_an_id_that_leads_nowhere_is_invalid_params(wire: Wire, method: str, task_id: str):
    assert (await wire.send(about(method, task_id, TASKS))).error["code"] == -32602


@pytest.mark.spec(PROTOCOL_ERRORS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task_id", [5, None, ["unknown"], ...], ids=str)
async def test_an_id_that_is_no_string_is_a_client_error(wire: Wire, method: str, task_id: Any):
    reply = await wire.send(about(method, "x", TASKS).header("Mcp-Name").params(taskId=task_id))
    assert reply.error["code"] in (-32602, -32020)


@pytest.mark.spec(SECURITY)
@pytest.mark.parametrize("method", METHODS)
async def test_the_task_of_somebody_else_is_as_unknown_as_none(
    wire: Wire, stack: Stack, notes: Notes, method: str
):
    """Nobody is authenticated yet, so the test gives the task away behind the server's back."""
    task_id = await wire.create("hold", notes.directory)
    await notes.seen("started")
    await stack.execute("UPDATE task SET owner = 'somebody else' WHERE id = :id", id=task_id)
    foreign = (await wire.send(about(method, task_id, TASKS))).error
    assert foreign == (await wire.send(about(method, "unknown", TASKS))).error
    await stack.execute("UPDATE task SET owner = 'anonymous' WHERE id = :id", id=task_id)
    assert (await wire.task(task_id))["status"] == "working"
    notes.leave("go")


@pytest.mark.spec(SECURITY)
async def test_nobody_can_listen_to_the_task_of_somebody_else(wire: Wire, stack: Stack, notes: Notes):
    foreign, own = [await wire.create("hold", notes.directory) for _ in range(2)]
    await stack.execute("UPDATE task SET owner = 'somebody else' WHERE id = :id", id=foreign)
    async with wire.stream(listening({"taskIds": [foreign, own]}, TASKS)) as stream:
        acknowledged = await stream.next()
        assert acknowledged["params"]["notifications"]["taskIds"] == [own]
        notes.leave("go")
        while (await stream.next())["params"]["status"] != "completed":
            pass
    assert {message["params"].get("taskId", own) for message in stream.notifications} == {own}


@pytest.mark.spec("ext-tasks#response")
@pytest.mark.parametrize("responses", [None, 5, [], "text", ...], ids=str)
async def test_answers_that_are_no_object_are_invalid_params(wire: Wire, responses: Any):
    task_id = await wire.create("succeed")
    reply = await wire.send(about("tasks/update", task_id, TASKS).params(inputResponses=responses))
    assert reply.error["code"] == -32602
