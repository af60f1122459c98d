"""A server that is told to stop: subscriptions end with their result, and callers go on elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import SUBSCRIPTION_ID, TASKS, calling, listening, retried
from tests.protocol.spec.stack import Stack, endpoint
from tests.protocol.spec.wire import Wire

CLOSURE = "basic/patterns/subscriptions#graceful-closure"


@dataclass
class Farewell:
    """What was seen of one server until its end, and of its callers afterwards."""

    exit_code: int
    results: dict[str | int, dict[str, Any]]
    task_id: str
    notes: Notes
    interrupted: dict[str, Any]
    continued: str
    call_notes: Notes


_farewells: dict[Stack, Farewell] = {}


@pytest.fixture
async def farewell(stack: Stack, wire: Wire, other: Wire) -> Farewell:
    """Starting a process is slow, so all tests here look at one and the same end."""
    if stack not in _farewells:
        _farewells[stack] = await watched(stack, wire, other)
    return _farewells[stack]


async def watched(stack: Stack, wire: Wire, other: Wire) -> Farewell:
    server = stack.serve()
    leaving = replace(wire, url=await endpoint(server))
    notes, call_notes = Notes(stack.new_directory()), Notes(stack.new_directory())
    task_id = await leaving.create("hold", notes.directory)
    wanted = {"toolsListChanged": True, "taskIds": [task_id]}
    call = calling("hold", call_notes.directory)
    async with (
        leaving.stream(listening(wanted, TASKS).member("id", 4711)) as one,
        leaving.stream(listening(wanted, TASKS).member("id", "4711")) as two,
        leaving.stream(call) as attached,
    ):
        await one.next("notifications/tasks")
        await two.next("notifications/tasks")
        await call_notes.seen("started")
        stopping = asyncio.create_task(server.stop())
        results = {4711: await one.ended(), "4711": await two.ended()}
        interrupted = (await attached.ended())["result"]
    exit_code = await stopping
    call_notes.leave("go")
    continued = (await other.send(retried(call, interrupted))).text
    return Farewell(exit_code, results, task_id, notes, interrupted, continued, call_notes)


@pytest.mark.spec(CLOSURE)
@pytest.mark.parametrize("request_id", [4711, "4711"])
async def test_the_end_of_a_subscription_is_a_result(farewell: Farewell, request_id: str | int):
    result = farewell.results[request_id]["result"]
    assert result["resultType"] == "complete"
    assert result.keys() == {"resultType", "_meta"}


@pytest.mark.spec(CLOSURE)
@pytest.mark.parametrize("request_id", [4711, "4711"])
async def test_the_result_says_which_subscription_it_ends(farewell: Farewell, request_id: str | int):
    message = farewell.results[request_id]
    found = message["result"]["_meta"][SUBSCRIPTION_ID]
    assert (found, type(found)) == (request_id, type(request_id)) == (message["id"], type(message["id"]))


@pytest.mark.spec(CLOSURE)
async def test_open_subscriptions_do_not_keep_a_server_from_ending(farewell: Farewell):
    assert farewell.exit_code == 0


@pytest.mark.spec("basic/index#statelessness")
async def test_a_task_outlives_the_server_that_created_it(farewell: Farewell, wire: Wire):
    farewell.notes.leave("go")
    task = await wire.reached(farewell.task_id, "completed", "cancelled", "failed")
    assert task["status"] == "completed"


@pytest.mark.spec("basic/patterns/mrtr#server-requirements-basic-workflow")
async def test_who_waits_for_a_result_is_asked_to_come_back(farewell: Farewell):
    assert farewell.interrupted["resultType"] == "input_required"
    assert farewell.interrupted["requestState"]
    assert "inputRequests" not in farewell.interrupted


@pytest.mark.spec("basic/patterns/mrtr#server-requirements-basic-workflow")
async def test_a_call_goes_on_elsewhere_without_being_started_again(farewell: Farewell):
    assert farewell.continued == "held"
    assert len(farewell.call_notes.lines("started")) == 1
    assert farewell.call_notes.lines("stopped") == []
