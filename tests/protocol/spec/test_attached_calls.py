"""A client without the Tasks extension stays with its call: progress and log lines on the way, then the result."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import FORM, MCP, TASKS, Request, calling
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.tools.held import LEVELS
from tests.protocol.spec.wire import Reply, Wire

RECEIVING = "basic/transports/streamable-http#receiving-messages"
PROGRESS = "basic/patterns/progress#progress-flow"
STOPS = "basic/patterns/progress#implementation-notes"
LOGGING = "server/utilities/logging#per-request-log-level"
CANCELLATION = "basic/transports/streamable-http#cancellation"
NEGOTIATION = "ext-tasks#capability-negotiation"

LOG_LEVEL = MCP + "logLevel"


def reporting(notes: Notes, **meta: Any) -> Request:
    """A call of `report`, which is let go on from the start."""
    notes.leave("go")
    request = calling("report", notes.directory)
    for key, value in meta.items():
        request = request.meta(LOG_LEVEL if key == "level" else key, value)
    return request


async def reported(wire: Wire, notes: Notes, **meta: Any) -> Reply:
    reply = await wire.send(reporting(notes, **meta))
    assert reply.text == "reported"
    return reply


# --- the stream ------------------------------------------------------------------------------------------------


@pytest.mark.spec(RECEIVING)
async def test_a_stream_asks_proxies_not_to_hold_it_back(wire: Wire, notes: Notes):
    reply = await reported(wire, notes, progressToken="p")
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-accel-buffering"] == "no"


@pytest.mark.spec("basic/transports/streamable-http#earlier-streamable-http-revisions")
async def test_a_stream_cannot_be_resumed_and_does_not_pretend_to(wire: Wire, notes: Notes):
    async with wire.stream(reporting(notes, progressToken="p")) as stream:
        await stream.ended()
    assert not any({"id", "retry"} & event.names for event in stream.events)


@pytest.mark.spec(RECEIVING)
async def test_what_happens_is_streamed_while_it_happens(wire: Wire, notes: Notes):
    async with wire.stream(calling("report", notes.directory).meta("progressToken", "p")) as stream:
        assert (await stream.next())["params"]["progress"] == 1
        assert stream.response is None
        notes.leave("go")
        await stream.ended()


# --- progress --------------------------------------------------------------------------------------------------


@pytest.mark.spec(PROGRESS)
async def test_progress_increases_with_every_notification(wire: Wire, notes: Notes):
    values = [
        params["progress"]
        for params in (await reported(wire, notes, progressToken="p")).of("notifications/progress")
    ]
    assert values
    assert values[-1] == 4
    assert all(earlier < later for earlier, later in pairwise(values))


@pytest.mark.spec(PROGRESS)
@pytest.mark.parametrize("token", ["p", "", "7", 7, 0])
async def test_progress_carries_the_token_as_it_was_given(wire: Wire, notes: Notes, token: str | int):
    reply = await reported(wire, notes, progressToken=token)
    tokens = [params["progressToken"] for params in reply.of("notifications/progress")]
    assert tokens
    assert all((found, type(found)) == (token, type(token)) for found in tokens)


@pytest.mark.spec(PROGRESS)
async def test_progress_tells_total_and_message(wire: Wire, notes: Notes):
    last = (await reported(wire, notes, progressToken="p")).of("notifications/progress")[-1]
    assert (last["total"], last["message"]) == (4, "over")


@pytest.mark.spec("basic/patterns/progress#behavior-requirements")
async def test_without_a_token_there_is_no_progress(wire: Wire, notes: Notes):
    assert (await reported(wire, notes, level="debug")).of("notifications/progress") == []


@pytest.mark.spec("basic/patterns/progress#behavior-requirements")
async def test_two_calls_at_once_hear_only_of_themselves(wire: Wire, notes: Notes):
    first = calling("report", notes.directory).meta("progressToken", "first")
    second = calling("report", notes.directory).meta("progressToken", "second")
    async with wire.stream(first) as one, wire.stream(second) as two:
        await one.next()
        await two.next()
        notes.leave("go")
        await one.ended()
        await two.ended()
    assert {message["params"]["progressToken"] for message in one.notifications} == {"first"}
    assert {message["params"]["progressToken"] for message in two.notifications} == {"second"}


@pytest.mark.spec(STOPS)
async def test_progress_is_not_sent_for_a_task_that_was_handed_out(wire: Wire, notes: Notes):
    request = calling("report", notes.directory, TASKS).meta("progressToken", "p").meta(LOG_LEVEL, "debug")
    reply = await wire.send(request)
    assert reply.result["resultType"] == "task"
    assert reply.notifications == []
    notes.leave("go")


# --- log lines -------------------------------------------------------------------------------------------------


@pytest.mark.spec(LOGGING)
async def test_without_a_level_there_are_no_log_lines(wire: Wire, notes: Notes):
    assert (await reported(wire, notes, progressToken="p")).of("notifications/message") == []


@ON_ONE_DATABASE
@pytest.mark.spec(LOGGING)
@pytest.mark.parametrize("level", LEVELS)
async def test_log_lines_of_the_level_and_above_are_sent(wire: Wire, notes: Notes, level: str):
    lines = (await reported(wire, notes, level=level)).of("notifications/message")
    assert [line["level"] for line in lines] == list(LEVELS[LEVELS.index(level) :])


@pytest.mark.spec("server/utilities/logging#log-message-notifications")
async def test_a_log_line_says_who_said_what(wire: Wire, notes: Notes):
    (line,) = (await reported(wire, notes, level="emergency")).of("notifications/message")
    assert (line["logger"], line["data"]) == ("reporter", {"said at": "emergency"})


# --- hanging up ------------------------------------------------------------------------------------------------


@pytest.mark.spec(CANCELLATION)
@pytest.mark.parametrize(
    "meta", [{}, {"progressToken": "p"}, {LOG_LEVEL: "debug"}], ids=["quiet", "progress", "log"]
)
async def test_hanging_up_stops_the_work(wire: Wire, notes: Notes, meta: dict[str, Any]):
    request = calling("hold", notes.directory)
    for key, value in meta.items():
        request = request.meta(key, value)
    call = asyncio.create_task(wire.send(request))
    await notes.seen("started")
    call.cancel()
    await asyncio.wait([call])
    assert await notes.seen("stopped") == notes.lines("started")


@pytest.mark.spec(CANCELLATION)
async def test_hanging_up_in_the_middle_of_a_stream_stops_the_work(wire: Wire, notes: Notes):
    async with wire.stream(calling("report", notes.directory).meta("progressToken", "p")) as stream:
        await stream.next()
        await notes.seen("reported")
    await notes.seen("stopped")


@pytest.mark.spec(CANCELLATION)
async def test_hanging_up_leaves_a_task_alone_that_was_handed_out(wire: Wire, notes: Notes):
    async with wire.stream(calling("hold", notes.directory, TASKS)) as stream:
        task_id = (await stream.ended())["result"]["taskId"]
    await notes.seen("started")
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"


@pytest.mark.spec("ext-tasks#task-cancellation")
async def test_a_cancelled_notification_does_not_cancel_a_task(wire: Wire, notes: Notes):
    request = calling("hold", notes.directory, TASKS)
    task_id = (await wire.send(request)).result["taskId"]
    await notes.seen("started")
    for request_id in (request.id, task_id):
        note = Request.of("notifications/cancelled", {"requestId": request_id}, TASKS).member("id", ...)
        await wire.post(note)
    notes.leave("go")
    assert (await wire.reached(task_id, "completed", "cancelled"))["status"] == "completed"


# --- who gets a task -----------------------------------------------------------------------------------------------


@ON_ONE_DATABASE
@pytest.mark.spec(NEGOTIATION)
@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        FORM,
        {"tasks": {"requests": {"tools": {"call": {}}}}},
        {"extensions": {}},
        {"extensions": {MCP + "ui": {}}},
    ],
    ids=str,
)
async def test_a_client_that_does_not_declare_tasks_gets_none(wire: Wire, capabilities: dict[str, Any]):
    assert (await wire.call("succeed", {}, capabilities)).result["resultType"] == "complete"


@pytest.mark.spec(NEGOTIATION)
@pytest.mark.parametrize("capabilities", [{}, {"tasks": {"requests": {"tools": {"call": {}}}}}], ids=str)
async def test_what_can_only_be_a_task_is_refused_to_a_client_without_tasks(
    wire: Wire, capabilities: dict[str, Any]
):
    reply = await wire.call("only_as_task", {}, capabilities)
    assert reply.refusal == (400, -32021)
    assert reply.error["data"] == {
        "requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    }


@pytest.mark.spec(NEGOTIATION)
async def test_declaring_tasks_once_counts_once(wire: Wire):
    assert (await wire.call("succeed", {}, TASKS)).result["resultType"] == "task"
    assert (await wire.call("succeed")).result["resultType"] == "complete"


@ON_ONE_DATABASE
@pytest.mark.spec(NEGOTIATION)
@pytest.mark.parametrize("hint", [{}, {"ttl": 60000, "pollInterval": 100}, None, 5], ids=str)
async def test_a_legacy_task_hint_is_ignored(wire: Wire, hint: Any):
    assert (await wire.send(calling("succeed").params(task=hint))).text == "done"
    assert (await wire.send(calling("greet", {"name": "Ada"}, TASKS).params(task=hint))).text == "Hello, Ada!"
