"""Creating a task and looking at it: what is there, what is not, and when it changes."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, TASKS
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire

CREATION = "ext-tasks#task-creation"
POLLING = "ext-tasks#response"
STATUS = "ext-tasks#task-status"
EXECUTION = "ext-tasks#task-execution-errors"
SECURITY = "ext-tasks#security-considerations"

TASK_KEYS = {"taskId", "status", "statusMessage", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"}
PAYLOADS = {"inputRequests", "result", "error"}


def at(timestamp: str) -> datetime:
    moment = datetime.fromisoformat(timestamp)
    assert moment.tzinfo is not None, "an instant, not a local time"
    return moment


def payloads(task: dict[str, Any]) -> set[str]:
    return PAYLOADS & task.keys()


# --- CreateTaskResult --------------------------------------------------------------------------------------------


@pytest.mark.spec(CREATION)
async def test_a_created_task_is_flat(wire: Wire):
    result = (await wire.call("succeed", {}, TASKS)).result
    assert result["resultType"] == "task"
    assert result.keys() - TASK_KEYS == {"resultType", "_meta"}
    assert TASK_KEYS - {"statusMessage"} <= result.keys()


@ON_ONE_DATABASE
@pytest.mark.spec(CREATION)
@pytest.mark.parametrize(
    "key",
    ["task", "ttl", "pollInterval", "result", "error", "inputRequests", "requestState", "content", "isError"],
)
async def test_a_created_task_has_nothing_of_an_older_or_another_shape(wire: Wire, key: str):
    assert key not in (await wire.call("succeed", {}, TASKS)).result


@pytest.mark.spec(CREATION)
async def test_a_task_is_not_related_to_itself(wire: Wire):
    assert (
        "io.modelcontextprotocol/related-task" not in (await wire.call("succeed", {}, TASKS)).result["_meta"]
    )


@pytest.mark.spec("ext-tasks#tasks")
async def test_times_are_instants_and_durations_are_whole_milliseconds(wire: Wire):
    result = (await wire.call("succeed", {}, TASKS)).result
    assert at(result["createdAt"]) <= at(result["lastUpdatedAt"])
    assert type(result["ttlMs"]) is int
    assert result["ttlMs"] > 0
    assert type(result["pollIntervalMs"]) is int
    assert result["pollIntervalMs"] > 0


@pytest.mark.spec(CREATION)
async def test_a_task_can_be_fetched_from_any_server_as_soon_as_its_id_is_known(wire: Wire, other: Wire):
    for _ in range(5):
        created = (await wire.call("succeed", {}, TASKS)).result
        for client in (other, wire):
            task = await client.task(created["taskId"])
            assert (task["taskId"], task["createdAt"]) == (created["taskId"], created["createdAt"])


@pytest.mark.spec(SECURITY)
async def test_ids_of_tasks_cannot_be_guessed(wire: Wire):
    ids = [await wire.create("succeed") for _ in range(16)]
    alphabet = len(set("".join(ids)))
    assert all(len(task_id) * math.log2(alphabet) >= 127 for task_id in ids)
    assert len({task_id[:6] for task_id in ids}) == len({task_id[-6:] for task_id in ids}) == len(ids)


# --- one shape per status ------------------------------------------------------------------------------------------


@pytest.mark.spec(POLLING)
async def test_a_working_task_has_no_payload(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await notes.seen("started")
    task = await wire.task(task_id)
    assert (task["status"], payloads(task)) == ("working", set())
    notes.leave("go")


@pytest.mark.spec(POLLING)
async def test_a_task_that_needs_input_has_all_its_questions(wire: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    task = await wire.reached(task_id, "input_required")
    assert payloads(task) == {"inputRequests"}
    assert {request["params"]["message"] for request in (await wire.all_asked(task_id, 2)).values()} == {
        "Who are you?",
        "Do you agree?",
    }
    await wire.cancel(task_id)


@pytest.mark.spec(POLLING)
async def test_a_completed_task_has_its_result(wire: Wire):
    task = await wire.reached(await wire.create("succeed"), "completed")
    assert payloads(task) == {"result"}


@pytest.mark.spec(POLLING)
async def test_a_failed_task_has_its_error(wire: Wire):
    task = await wire.reached(await wire.create("fault"), "failed")
    assert payloads(task) == {"error"}


@pytest.mark.spec(POLLING)
async def test_a_cancelled_task_has_no_payload(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await wire.cancel(task_id)
    assert payloads(await wire.reached(task_id, "cancelled")) == set()


@pytest.mark.spec(POLLING)
@pytest.mark.parametrize("tool", ["succeed", "fail", "fault"])
async def test_looking_at_a_task_is_complete_whatever_became_of_it(wire: Wire, tool: str):
    task = await wire.reached(await wire.create(tool), "completed", "failed")
    assert task["resultType"] == "complete"
    assert task.keys() - TASK_KEYS - PAYLOADS == {"resultType", "_meta"}


# --- what the call would have returned -----------------------------------------------------------------------------


@pytest.mark.spec(EXECUTION)
@pytest.mark.parametrize("tool", ["succeed", "fail"])
async def test_the_result_is_the_one_the_call_would_have_returned(wire: Wire, tool: str):
    plain = (await wire.call(tool)).result
    task = await wire.reached(await wire.create(tool), "completed", "failed")
    assert without_meta(task["result"]) == without_meta(plain)


@pytest.mark.spec(EXECUTION)
async def test_the_error_is_the_one_the_call_would_have_returned(wire: Wire):
    plain = (await wire.call("fault")).error
    assert (await wire.reached(await wire.create("fault"), "failed"))["error"] == plain


@pytest.mark.spec(EXECUTION)
async def test_an_error_of_the_tool_is_no_failure_of_the_task(wire: Wire):
    task = await wire.reached(await wire.create("fail"), "completed", "failed")
    assert (task["status"], task["result"]["isError"]) == ("completed", True)


@pytest.mark.spec(EXECUTION)
async def test_a_failed_task_says_in_words_what_went_wrong(wire: Wire):
    task = await wire.reached(await wire.create("fault"), "failed")
    assert task["error"]["message"] in task["statusMessage"]


@pytest.mark.spec(EXECUTION)
async def test_an_unforeseen_exception_ends_the_call_and_the_task_alike(wire: Wire):
    plain = await wire.call("break_down")
    task = await wire.reached(await wire.create("break_down"), "completed", "failed")
    if "error" in plain.message:
        assert task["error"] == plain.error
    else:
        assert plain.result["isError"]
        assert without_meta(task["result"]) == without_meta(plain.result)


def without_meta(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "_meta"}


# --- change --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("ext-tasks#tasks")
async def test_looking_changes_nothing(wire: Wire, other: Wire, notes: Notes):
    task_id = await wire.create("say", notes.directory)
    first = await wire.saying(task_id, "Looking for a pen")
    assert await other.task(task_id) == first == await wire.task(task_id)
    await wire.cancel(task_id)


@pytest.mark.spec("ext-tasks#tasks")
async def test_a_status_message_is_shown(wire: Wire, notes: Notes):
    task_id = await wire.create("say", notes.directory)
    assert (await wire.saying(task_id, "Looking for a pen"))["status"] == "working"
    await wire.cancel(task_id)


@pytest.mark.spec("ext-tasks#tasks")
async def test_a_change_moves_the_time_of_the_last_update(wire: Wire, notes: Notes):
    task_id = await wire.create("say", notes.directory)
    before = await wire.saying(task_id, "Looking for a pen")
    notes.leave("go")
    after = await wire.saying(task_id, "Writing with the pen")
    assert at(after["lastUpdatedAt"]) > at(before["lastUpdatedAt"])
    assert after["createdAt"] == before["createdAt"]
    await wire.cancel(task_id)


@pytest.mark.spec(STATUS)
async def test_a_task_that_has_ended_never_changes_again(wire: Wire, other: Wire):
    task_id = await wire.create("succeed")
    ended = await wire.reached(task_id, "completed")
    await other.cancel(task_id)
    await wire.update(task_id, {"late": {"action": "accept"}})
    assert await other.task(task_id) == ended == await wire.task(task_id)
