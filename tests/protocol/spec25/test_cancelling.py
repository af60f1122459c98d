"""`notifications/cancelled` ends requests, `tasks/cancel` ends tasks; neither does the other's work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.official import RELATED
from tests.protocol.spec25.session import Session


async def test_a_cancelled_request_is_stopped_and_not_answered(session: Session, notes: Notes):
    """basic/utilities/cancellation#behavior-requirements: SHOULD stop, SHOULD NOT send a response."""
    message = session.calling("hold", notes.directory)
    async with session.stream(message) as stream:
        await notes.seen("started")
        await session.notify("notifications/cancelled", {"requestId": message["id"], "reason": "too slow"})
        await notes.seen("stopped")
        await stream.end()
    assert stream.responses == []


async def test_a_cancelled_request_is_stopped_after_its_connection_was_lost(session: Session, notes: Notes):
    """basic/transports#sending-messages-to-the-server: to cancel, SHOULD explicitly send a notification."""
    message = session.calling("hold", notes.directory)
    async with session.stream(message) as stream:
        await notes.seen("started")
        await stream.primed()
    await session.notify("notifications/cancelled", {"requestId": message["id"]})
    await notes.seen("stopped")


async def test_only_requests_of_the_same_session_are_cancelled(
    session: Session, connect: Connect, notes: Notes
):
    """basic/utilities/cancellation#behavior-requirements: only what the same client has issued."""
    other = await connect()
    message = session.calling("hold", notes.directory, id=4711)
    async with session.stream(message) as stream:
        await notes.seen("started")
        await other.notify("notifications/cancelled", {"requestId": 4711})
        await session.notify("notifications/cancelled", {"requestId": "4711"})
        notes.leave("go")
        assert (await stream.reply()).text == "held"


@pytest.mark.parametrize(
    "params", [None, {}, {"requestId": "unknown"}, {"requestId": None}, {"requestId": {}}, {"requestId": 1.5}]
)
async def test_an_invalid_cancellation_is_ignored(session: Session, params: dict[str, Any] | None):
    """basic/utilities/cancellation#error-handling: SHOULD be ignored."""
    response = await session.post(session.message("notifications/cancelled", params, id=None))
    assert response.status_code in (202, 400)
    assert (await session.request("ping")).result == {}


async def test_a_cancellation_that_comes_too_late_is_ignored(session: Session):
    """basic/utilities/cancellation#timing-considerations: MUST handle these race conditions gracefully."""
    reply = await session.call("succeed")
    await session.notify("notifications/cancelled", {"requestId": reply.message["id"]})
    assert (await session.call("succeed")).text == "done"


async def test_a_task_is_not_cancelled_by_the_request_that_made_it(session: Session, notes: Notes):
    """basic/utilities/cancellation#behavior-requirements: MUST be `tasks/cancel`."""
    message = session.calling("hold", notes.directory, task={})
    async with session.stream(message) as stream:
        task_id = (await stream.reply()).result["task"]["taskId"]
    await notes.seen("started")
    await session.notify("notifications/cancelled", {"requestId": message["id"]})
    notes.leave("go")
    assert (await session.fetch(task_id)).text == "held"


async def test_waiting_for_a_result_can_be_cancelled_without_its_task(session: Session, notes: Notes):
    """basic/utilities/tasks#retrieving-task-results: a `tasks/result` may be cancelled; the task goes on."""
    task_id = await session.create("hold", notes.directory)
    await notes.seen("started")
    message = session.fetching(task_id)
    async with session.stream(message) as stream:
        await stream.primed()
        await session.notify("notifications/cancelled", {"requestId": message["id"]})
        await stream.end()
    assert stream.responses == []
    notes.leave("go")
    assert (await session.fetch(task_id)).text == "held"


async def test_a_task_is_cancelled_before_the_answer(session: Session, notes: Notes):
    """basic/utilities/tasks#task-cancellation: MUST be `cancelled` before the response, SHOULD be stopped."""
    task_id = await session.create("hold", notes.directory)
    await notes.seen("started")
    cancelled = (await session.request("tasks/cancel", {"taskId": task_id})).result
    assert cancelled["status"] == "cancelled"
    assert await session.task(task_id) == cancelled
    await notes.seen("stopped")


async def test_a_cancelled_task_stays_cancelled(session: Session, notes: Notes):
    """basic/utilities/tasks#task-cancellation: even if execution continues to completion."""
    task_id = await session.create("hold", notes.directory)
    await notes.seen("started")
    notes.leave("go")
    answer = await session.request("tasks/cancel", {"taskId": task_id})
    final = (await session.reached(task_id, "completed", "cancelled"))["status"]
    if "error" in answer.message:  # it was faster
        assert (answer.code, final) == (-32602, "completed")
    else:
        assert (answer.result["status"], final) == ("cancelled", "cancelled")
        assert "content" not in (await session.fetch(task_id)).message.get("result", {})
        assert (await session.task(task_id))["status"] == "cancelled"


async def test_a_task_that_waits_for_input_is_cancelled(session: Session, notes: Notes):
    """basic/utilities/tasks#task-status-lifecycle: from `input_required` too."""
    task_id = await session.create("ask_twice", notes.directory)
    await session.reached(task_id, "input_required")
    assert (await session.request("tasks/cancel", {"taskId": task_id})).result["status"] == "cancelled"


async def test_whoever_waits_for_a_cancelled_task_is_answered(session: Session, notes: Notes):
    """basic/utilities/tasks#result-retrieval: MUST return in a terminal status."""
    task_id = await session.create("hold", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        await notes.seen("started")
        await session.request("tasks/cancel", {"taskId": task_id})
        assert "content" not in (await stream.reply()).message.get("result", {})
    assert "content" not in (await session.fetch(task_id)).message.get("result", {})


@pytest.mark.parametrize(
    ("tool", "status"), [("succeed", "completed"), ("fail", "failed"), ("fault", "failed")]
)
async def test_a_task_that_has_ended_cannot_be_cancelled(session: Session, tool: str, status: str):
    """basic/utilities/tasks#task-cancellation: MUST reject with -32602."""
    task_id = await session.create(tool)
    before = await session.reached(task_id, status)
    assert (await session.request("tasks/cancel", {"taskId": task_id})).code == -32602
    assert await session.task(task_id) == before


async def test_a_cancelled_task_cannot_be_cancelled_again(session: Session, notes: Notes):
    """basic/utilities/tasks#task-cancellation: MUST reject with -32602."""
    task_id = await session.create("hold", notes.directory)
    await session.request("tasks/cancel", {"taskId": task_id})
    assert (await session.request("tasks/cancel", {"taskId": task_id})).code == -32602


async def test_the_param_names_the_task_to_cancel(session: Session, notes: Notes):
    """basic/utilities/tasks#associating-task-related-messages: MUST ignore such metadata in its favor."""
    kept, ended = await session.create("succeed"), await session.create("hold", notes.directory)
    params = {"taskId": ended, "_meta": {RELATED: {"taskId": kept}}}
    answer = (await session.request("tasks/cancel", params)).result
    assert (answer["taskId"], answer["status"]) == (ended, "cancelled")
    assert RELATED not in answer.get("_meta", {})
