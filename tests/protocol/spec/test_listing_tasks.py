"""`task_list`: what was handed out to a caller, newest first."""

from __future__ import annotations

import asyncio

import pytest

from tests.protocol.spec.following import FOLLOWING, follow, listed
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Wire
from tests.support.waiting import wait_until

CALL = "server/tools#calling-tools"
ERRORS = "server/tools#error-handling"


@pytest.mark.spec(CALL)
async def test_the_newest_tasks_are_listed_first(impatient: Wire, wire: Wire, notes: Notes):
    handle = await wire.create("hold", notes.directory)
    detached = (await impatient.call("hold", notes.directory)).result["structuredContent"]["taskId"]
    direct = asyncio.create_task(wire.call("hold", notes.directory))
    started = await wait_until(lambda: len(notes.lines("started")) == 3, describing="three tasks")
    assert started
    tasks = (await listed(wire))["tasks"]
    assert [(task["taskId"], task["tool"]) for task in tasks[:2]] == [(detached, "hold"), (handle, "hold")]
    # Of a call that is waited for nobody has the id.
    assert not {task["taskId"] for task in tasks} & (set(notes.lines("started")) - {handle, detached})
    notes.leave("go")
    await direct


@pytest.mark.spec(CALL)
async def test_a_call_that_is_waited_for_cannot_be_followed(wire: Wire, notes: Notes):
    direct = asyncio.create_task(wire.call("hold", notes.directory))
    (task_id,) = await notes.seen("started")
    for tool in FOLLOWING:
        assert (await follow(wire, tool, task_id)).text.startswith("Task not found.")
    notes.leave("go")
    assert (await direct).text == "held"


@pytest.mark.spec("server/utilities/pagination#pagination-model")
async def test_a_long_list_is_continued_where_it_ended(wire: Wire, other: Wire):
    created = set(await asyncio.gather(*(wire.create("succeed") for _ in range(25))))
    first = await listed(wire)
    await wire.create("succeed")
    second = await listed(other, cursor=first["nextCursor"])
    ids = [task["taskId"] for page in (first, second) for task in page["tasks"]]
    assert len(first["tasks"]) == 20
    assert set(ids[:25]) == created


@ON_ONE_DATABASE
@pytest.mark.spec(ERRORS)
@pytest.mark.parametrize("cursor", ["", "nonsense", "bnVsbA=="])
async def test_a_cursor_of_no_list_is_an_error_of_the_tool(wire: Wire, cursor: str):
    reply = await wire.call("task_list", {"cursor": cursor})
    assert reply.result["isError"] is True
    assert reply.text.startswith("The cursor is not one")
