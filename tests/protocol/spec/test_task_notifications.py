"""`notifications/tasks`: at every change the same object that `tasks/get` gives at that moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.protocol.spec.answers import answers, message_of
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, MCP, SUBSCRIPTION_ID, TASKS, listening
from tests.protocol.spec.wire import Stream, Wire

NOTIFICATIONS = "ext-tasks#task-status-notifications"
TASK = "notifications/tasks"


@asynccontextmanager
async def watching(wire: Wire, *task_ids: str) -> AsyncGenerator[Stream]:
    """A subscription to these tasks, acknowledged."""
    async with wire.stream(listening({"taskIds": list(task_ids)}, TASKS)) as stream:
        await stream.next("notifications/subscriptions/acknowledged")
        yield stream


async def pushed(stream: Stream, status: str, **fields: Any) -> dict[str, Any]:
    """The next notification with this status (and these fields), as an object to compare."""
    while True:
        params = (await stream.next())["params"]
        if params["status"] == status and fields.items() <= params.items():
            return {key: value for key, value in params.items() if key != "_meta"}


async def polled(wire: Wire, task_id: str) -> dict[str, Any]:
    return {
        key: value for key, value in (await wire.task(task_id)).items() if key not in ("_meta", "resultType")
    }


# --- the acknowledgement -------------------------------------------------------------------------------------------


@pytest.mark.spec(NOTIFICATIONS)
async def test_only_tasks_that_exist_are_acknowledged(wire: Wire):
    own = await wire.create("succeed")
    async with wire.stream(listening({"taskIds": ["unknown", own, "", "\x00"]}, TASKS)) as stream:
        assert (await stream.next())["params"]["notifications"] == {"taskIds": [own]}


@pytest.mark.spec(NOTIFICATIONS)
async def test_a_task_that_is_named_twice_is_watched_once(wire: Wire):
    task_id = await wire.create("succeed")
    await wire.reached(task_id, "completed")
    async with wire.stream(listening({"taskIds": [task_id, task_id]}, TASKS)) as stream:
        assert (await stream.next())["params"]["notifications"] == {"taskIds": [task_id]}


@pytest.mark.spec(NOTIFICATIONS)
async def test_every_accepted_task_is_shown_once_at_first(wire: Wire):
    ids = {await wire.create("succeed"), await wire.create("fault")}
    for task_id in ids:
        await wire.reached(task_id, "completed", "failed")
    async with watching(wire, *ids) as stream:
        shown = [(await stream.next(TASK))["params"]["taskId"] for _ in ids]
        assert set(shown) == ids


@pytest.mark.spec("basic/patterns/subscriptions#receiving-notifications")
@pytest.mark.parametrize("request_id", [7, "7"])
async def test_every_notification_carries_the_id_of_the_subscription(wire: Wire, request_id: str | int):
    task_id = await wire.create("succeed")
    async with wire.stream(listening({"taskIds": [task_id]}, TASKS).member("id", request_id)) as stream:
        await stream.next("notifications/subscriptions/acknowledged")
        await pushed(stream, "completed")
    ids = [message["params"]["_meta"][SUBSCRIPTION_ID] for message in stream.notifications]
    assert all((found, type(found)) == (request_id, type(request_id)) for found in ids)


# --- pushes and polls ----------------------------------------------------------------------------------------------


@pytest.mark.spec(NOTIFICATIONS)
@pytest.mark.parametrize(
    ("tool", "status"), [("succeed", "completed"), ("fail", "completed"), ("fault", "failed")]
)
async def test_the_end_is_pushed_as_it_is_polled(wire: Wire, tool: str, status: str):
    task_id = await wire.create(tool)
    async with watching(wire, task_id) as stream:
        assert await pushed(stream, status) == await polled(wire, task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_an_end_that_came_earlier_is_pushed_as_it_is_polled(wire: Wire):
    task_id = await wire.create("succeed")
    await wire.reached(task_id, "completed")
    async with watching(wire, task_id) as stream:
        assert await pushed(stream, "completed") == await polled(wire, task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_a_status_message_is_pushed_as_it_is_polled(wire: Wire, notes: Notes):
    task_id = await wire.create("say", notes.directory)
    async with watching(wire, task_id) as stream:
        first = await pushed(stream, "working", statusMessage="Looking for a pen")
        assert first == await polled(wire, task_id)
        notes.leave("go")
        second = await pushed(stream, "working", statusMessage="Writing with the pen")
        assert second == await polled(wire, task_id)
    await wire.cancel(task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_questions_are_pushed_as_they_are_polled(wire: Wire, notes: Notes):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    async with watching(wire, task_id) as stream:
        first = await pushed(stream, "input_required")
        assert first == await polled(wire, task_id)
        await wire.update(task_id, answers(first["inputRequests"]))
        while True:
            second = await pushed(stream, "input_required")
            if second["inputRequests"] != first["inputRequests"]:
                break
        assert [message_of(question) for question in second["inputRequests"].values()] == ["Do you agree?"]
        assert second == await polled(wire, task_id)
    await wire.cancel(task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_a_partial_answer_is_pushed_as_it_is_polled(wire: Wire):
    task_id = await wire.create("ask_together", {}, FORM)
    questions = await wire.all_asked(task_id, 2)
    answered, left = questions
    async with watching(wire, task_id) as stream:
        await wire.update(task_id, answers({answered: questions[answered]}))
        remaining = {left: questions[left]}
        assert await pushed(stream, "input_required", inputRequests=remaining) == await polled(wire, task_id)
    await wire.cancel(task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_a_cancel_is_pushed_as_it_is_polled(wire: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    async with watching(wire, task_id) as stream:
        await wire.cancel(task_id)
        assert await pushed(stream, "cancelled") == await polled(wire, task_id)


@pytest.mark.spec(NOTIFICATIONS)
async def test_pushes_never_go_back_in_time(wire: Wire, notes: Notes):
    notes.leave("go")
    notes.leave("end")
    task_id = await wire.create("say", notes.directory)
    async with watching(wire, task_id) as stream:
        await pushed(stream, "completed")
    times = [message["params"]["lastUpdatedAt"] for message in stream.notifications[1:]]
    assert times == sorted(times)


@pytest.mark.spec(NOTIFICATIONS)
async def test_nothing_is_pushed_twice(wire: Wire, notes: Notes):
    notes.leave("go")
    notes.leave("end")
    task_id = await wire.create("say", notes.directory)
    async with watching(wire, task_id) as stream:
        await pushed(stream, "completed")
    shown = [message["params"] for message in stream.notifications[1:]]
    assert all(earlier != later for earlier, later in pairwise(shown))


# --- what does not come --------------------------------------------------------------------------------------------


@pytest.mark.spec("basic/patterns/subscriptions#opening-a-stream")
async def test_tasks_that_were_not_asked_for_are_not_shown(wire: Wire, notes: Notes):
    watched = await wire.create("hold", notes.directory)
    async with watching(wire, watched) as stream:
        await wire.reached(await wire.create("succeed"), "completed")
        notes.leave("go")
        await pushed(stream, "completed")
    assert {message["params"]["taskId"] for message in stream.notifications[1:]} == {watched}


@pytest.mark.spec(NOTIFICATIONS)
async def test_progress_and_log_lines_of_a_task_are_not_sent(wire: Wire, notes: Notes):
    request = listening({"taskIds": [await wire.create("report", notes.directory)]}, TASKS)
    async with wire.stream(request.meta("progressToken", "p").meta(MCP + "logLevel", "debug")) as stream:
        await stream.next("notifications/subscriptions/acknowledged")
        await notes.seen("reported")
        notes.leave("go")
        await pushed(stream, "completed")
    assert {message["method"] for message in stream.notifications[1:]} == {TASK}


# --- across servers ------------------------------------------------------------------------------------------------


@pytest.mark.spec("basic/index#statelessness")
async def test_a_task_is_created_answered_and_watched_on_different_servers(
    wire: Wire, other: Wire, notes: Notes
):
    task_id = await wire.create("ask_twice", notes.directory, FORM)
    async with watching(other, task_id) as stream:
        first = await pushed(stream, "input_required")
        await other.update(task_id, answers(first["inputRequests"]))
        second = await wire.asked_anew(task_id, first["inputRequests"])
        await wire.update(task_id, answers(second))
        assert await pushed(stream, "completed") == await polled(other, task_id)


@pytest.mark.spec("basic/index#statelessness")
async def test_a_task_is_cancelled_on_another_server_than_it_was_created_on(
    wire: Wire, other: Wire, notes: Notes
):
    task_id = await wire.create("hold", notes.directory)
    async with watching(wire, task_id) as stream:
        await notes.seen("started")
        await other.cancel(task_id)
        await pushed(stream, "cancelled")
    assert await notes.seen("stopped") == [task_id]


@pytest.mark.spec(NOTIFICATIONS)
async def test_everybody_who_watches_sees_the_same(wire: Wire, other: Wire, notes: Notes):
    task_id = await wire.create("hold", notes.directory)
    async with watching(wire, task_id) as here, watching(other, task_id) as there:
        notes.leave("go")
        assert await pushed(here, "completed") == await pushed(there, "completed")
