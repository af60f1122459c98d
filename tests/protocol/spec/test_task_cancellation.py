"""`tasks/cancel`: an empty acknowledgement, whatever becomes of it."""

from __future__ import annotations

import pytest

from tests.protocol.spec.answers import ADA, each_with
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM
from tests.protocol.spec.wire import Wire

CANCEL = "ext-tasks#task-cancellation"


@pytest.mark.spec(CANCEL)
async def test_a_cancelled_task_stops_working(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await notes.seen("started")
    await wire.cancel(task_id)
    await wire.reached(task_id, "cancelled")
    assert await notes.seen("stopped") == [task_id]


@pytest.mark.spec(CANCEL)
async def test_a_cancel_is_acknowledged_with_an_empty_result(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    result = (await wire.cancel(task_id)).result
    assert result.keys() == {"resultType", "_meta"}
    assert result["resultType"] == "complete"


@pytest.mark.spec(CANCEL)
async def test_cancelling_twice_is_cancelling_once(wire: Wire, other: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    await notes.seen("started")
    await wire.cancel(task_id)
    cancelled = await wire.reached(task_id, "cancelled")
    assert (await other.cancel(task_id)).result["resultType"] == "complete"
    assert await wire.task(task_id) == cancelled


@pytest.mark.spec(CANCEL)
@pytest.mark.parametrize(
    ("tool", "status"), [("succeed", "completed"), ("fail", "completed"), ("fault", "failed")]
)
async def test_cancelling_what_has_ended_is_acknowledged_and_leaves_the_outcome(
    wire: Wire, tool: str, status: str
):
    task_id = await wire.create(tool)
    ended = await wire.reached(task_id, status)
    assert (await wire.cancel(task_id)).result["resultType"] == "complete"
    assert await wire.task(task_id) == ended


@pytest.mark.spec(CANCEL)
async def test_a_task_that_waits_for_an_answer_can_be_cancelled(wire: Wire):
    task_id = await wire.create("ask_the_same_twice", {}, FORM)
    await wire.asked(task_id)
    await wire.cancel(task_id)
    assert "inputRequests" not in await wire.reached(task_id, "cancelled")


@pytest.mark.spec(CANCEL)
async def test_answers_after_a_cancel_bring_nothing_back(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    questions = await wire.asked(task_id)
    await wire.cancel(task_id)
    cancelled = await wire.reached(task_id, "cancelled")
    await wire.update(task_id, each_with(ADA, questions))
    assert await wire.task(task_id) == cancelled


@pytest.mark.spec(CANCEL)
async def test_a_cancel_at_once_reaches_a_task_that_has_hardly_begun(wire: Wire, notes: Notes):
    for _ in range(5):
        task_id = await wire.create("hold", notes.directory)
        await wire.cancel(task_id)
        await wire.reached(task_id, "cancelled")
    assert set(notes.lines("started")) == set(notes.lines("stopped"))


@pytest.mark.spec("ext-tasks#tasks")
@pytest.mark.parametrize("tool", ["hold", "ask_twice"])
async def test_a_cancelled_task_says_that_it_was_cancelled(wire: Wire, notes: Notes, tool: str):
    task_id = await wire.create(tool, notes.directory, FORM)
    await wire.reached(task_id, "input_required" if tool == "ask_twice" else "working")
    await wire.cancel(task_id)
    assert (await wire.reached(task_id, "cancelled"))["statusMessage"] == "Cancelled"
