"""A server that is told to stop: subscriptions end with their result, and nothing else is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.spec.answers import answers
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, SUBSCRIPTION_ID, TASKS, Request, calling, listening, retried
from tests.protocol.spec.stack import Stack, endpoint
from tests.protocol.spec.wire import Wire

CLOSURE = "basic/patterns/subscriptions#graceful-closure"


@dataclass
class Farewell:
    """What was seen of one server, which shared everything but its key with the others, until its end."""

    results: dict[str | int, dict[str, Any]]
    exit_code: int
    task_id: str
    notes: Notes
    question: dict[str, Any]
    asking: Request


_farewells: dict[Stack, Farewell] = {}


@pytest.fixture
async def farewell(stack: Stack, wire: Wire) -> Farewell:
    """Starting a process is slow, so all tests here look at one and the same end."""
    if stack not in _farewells:
        _farewells[stack] = await watched(stack, wire)
    return _farewells[stack]


async def watched(stack: Stack, wire: Wire) -> Farewell:
    server = stack.serve(TASKS_SECRET_KEY="a key that no other server of these tests has")
    leaving = Wire(wire.http, await endpoint(server))
    notes = Notes(stack.new_directory())
    task_id = await leaving.create("hold", notes.directory)
    asking = calling("delete", {"filename": "old.txt", "directory": str(Path("nowhere"))}, FORM)
    question = (await leaving.send(asking)).result
    wanted = {"toolsListChanged": True, "taskIds": [task_id]}
    async with (
        leaving.stream(listening(wanted, TASKS).member("id", 4711)) as one,
        leaving.stream(listening(wanted, TASKS).member("id", "4711")) as two,
    ):
        await one.next("notifications/tasks")
        await two.next("notifications/tasks")
        exit_code = await server.stop()
        results = {4711: await one.ended(), "4711": await two.ended()}
    return Farewell(results, exit_code, task_id, notes, question, asking)


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
async def test_a_state_that_was_sealed_with_another_key_is_an_error(farewell: Farewell, wire: Wire):
    retry = retried(farewell.asking, farewell.question, answers(farewell.question["inputRequests"]))
    assert (await wire.send(retry)).error["code"] == -32602
