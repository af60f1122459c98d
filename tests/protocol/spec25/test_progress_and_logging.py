"""What a client hears while it waits."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.conftest import Connect
from tests.protocol.spec25.official import RELATED
from tests.protocol.spec25.session import TERMINAL, Session
from tests.protocol.spec25.stream import Message

PROGRESS = "notifications/progress"
LOG = "notifications/message"
TAKING_OVER = 5
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


def increasing(messages: list[Message]) -> bool:
    return all(one["params"]["progress"] < other["params"]["progress"] for one, other in pairwise(messages))


@pytest.mark.parametrize("token", [0, 17, "17", "a b"])
async def test_a_call_hears_of_its_progress(session: Session, notes: Notes, token: str | int):
    """basic/utilities/progress#progress-flow: the original token; MUST increase."""
    notes.leave("go")
    message = session.calling("report", notes.directory, _meta={"progressToken": token})
    async with session.stream(message) as stream:
        await stream.reply()
    heard = stream.of(PROGRESS)
    assert heard
    assert increasing(heard)
    for one in heard:
        assert (one["params"]["progressToken"], type(one["params"]["progressToken"])) == (token, type(token))
        assert RELATED not in one["params"].get("_meta", {})


async def test_without_a_token_there_is_no_progress(session: Session, notes: Notes):
    """basic/utilities/progress#behavior-requirements: MUST only reference tokens that were provided."""
    notes.leave("go")
    assert (await session.call("report", notes.directory)).of(PROGRESS) == []
    task_id = await session.create("report", notes.directory)
    async with session.listen() as listening:
        assert (await session.fetch(task_id)).of(PROGRESS) == []
        await session.terminate()
        await listening.end()
    assert listening.of(PROGRESS) == []


async def test_the_token_of_a_task_stays_valid(session: Session, notes: Notes):
    """basic/utilities/progress#behavior-requirements: MUST be used after the CreateTaskResult; related task."""
    task_id = await session.create("step_by_step", notes.directory, _meta={"progressToken": "original"})
    async with session.stream(session.fetching(task_id)) as stream:
        await stream.primed()
        for step in (1, 2, 3):
            notes.leave(f"step-{step}")
            await stream.next(PROGRESS)
        notes.leave("go")
        await stream.reply()
    heard = stream.of(PROGRESS)
    assert [one["params"]["progress"] for one in heard] == [1, 2, 3]
    for one in heard:
        assert one["params"]["progressToken"] == "original"
        assert one["params"]["_meta"][RELATED] == {"taskId": task_id}


async def test_progress_of_a_task_goes_to_one_stream_and_stops_with_it(session: Session, notes: Notes):
    """basic/utilities/progress#behavior-requirements: MUST stop; basic/transports#multiple-connections: MUST NOT
    broadcast."""
    async with session.listen() as listening:
        await listening.primed()
        task_id = await session.create("step_by_step", notes.directory, _meta={"progressToken": 5})
        async with session.stream(session.fetching(task_id)) as stream:
            await stream.primed()
            assert (await session.task(task_id))["status"] == "working"
            for step in (1, 2, 3):
                notes.leave(f"step-{step}")
                await stream.next(PROGRESS)
            notes.leave("go")
            await stream.reply()
        async with session.stream(session.fetching(task_id)) as later:
            await later.reply()
        await session.terminate()
        await listening.end()
    assert [one["params"]["progress"] for one in stream.of(PROGRESS)] == [1, 2, 3]
    assert [*later.of(PROGRESS), *listening.of(PROGRESS)] == []


async def test_what_is_told_while_streams_take_over_is_told_once(
    stack: Stack, session: Session, notes: Notes
):
    """basic/transports#multiple-connections: MUST NOT broadcast; basic/utilities/progress#progress-flow: MUST increase.

    Each newer stream, at either replica, takes over from the one before it in the middle of what it tells.
    """
    async with AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(session.listen())]
        await streams[0].primed()
        task_id = await session.create("count", notes.directory, _meta={"progressToken": 5})
        for number in range(TAKING_OVER):
            waiter = session.at(stack.other_url) if number % 2 else session
            await streams[-1].next(PROGRESS, LOG)
            streams.append(await opened.enter_async_context(waiter.stream(waiter.fetching(task_id))))
        await streams[-1].next(PROGRESS, LOG)
        notes.leave("go")
        counted = int((await asyncio.gather(*(stream.reply() for stream in streams[1:])))[0].text)
        await session.terminate()
        await streams[0].end()
    for stream in streams:
        assert increasing(stream.of(PROGRESS))
    told = [one["params"]["progress"] for stream in streams for one in stream.of(PROGRESS)]
    assert len(told) == len(set(told))
    assert sorted(one["params"]["data"] for stream in streams for one in stream.of(LOG)) == [
        *range(1, counted + 1)
    ]


async def test_progress_of_a_task_nobody_waits_for_comes_to_who_listens(session: Session, notes: Notes):
    """basic/utilities/progress#behavior-requirements: throughout the task's lifetime, and no longer."""
    async with session.listen() as listening:
        await listening.primed()
        task_id = await session.create("step_by_step", notes.directory, _meta={"progressToken": 5})
        for step in (1, 2, 3):
            notes.leave(f"step-{step}")
            await listening.next(PROGRESS)
        notes.leave("go")
        await session.reached(task_id, "completed")
        await session.terminate()
        await listening.end()
    heard = listening.of(PROGRESS)
    assert increasing(heard)
    for one in heard:
        assert one["params"]["_meta"][RELATED] == {"taskId": task_id}
    ended = [message["params"].get("status") in TERMINAL for message in listening.messages]
    after = listening.messages[ended.index(True) :] if True in ended else []
    assert PROGRESS not in [message["method"] for message in after]


async def test_status_notifications_are_whole_tasks(session: Session, notes: Notes):
    """basic/utilities/tasks#task-status-notification: MAY be sent; the full Task (the client compares)."""
    async with session.listen() as listening:
        await listening.primed()
        task_id = await session.create("succeed")
        await session.fetch(task_id)
        final = await session.task(task_id)
        await session.terminate()
        await listening.end()
    for told in listening.of("notifications/tasks/status"):
        if told["params"]["status"] == "completed":
            assert {key: value for key, value in told["params"].items() if key != "_meta"} == final


@pytest.mark.parametrize("level", LEVELS)
async def test_a_level_leaves_out_what_is_below(session: Session, notes: Notes, level: str):
    """server/utilities/logging#setting-log-level: that level and above."""
    notes.leave("go")
    assert (await session.request("logging/setLevel", {"level": level})).result == {}
    said = (await session.call("report", notes.directory)).of(LOG)
    assert [line["level"] for line in said] == LEVELS[LEVELS.index(level) :]
    assert {line["logger"] for line in said} == {"reporter"}


@pytest.mark.parametrize("params", [{"level": "loud"}, {"level": 7}, {}, None])
async def test_an_unknown_level_is_an_error(session: Session, params: dict[str, Any] | None):
    """server/utilities/logging#error-handling: -32602."""
    assert (await session.request("logging/setLevel", params)).code == -32602


async def test_a_level_is_that_of_one_session(session: Session, connect: Connect, stack: Stack, notes: Notes):
    """server/utilities/logging#setting-log-level: of the client that has set it, at all replicas."""
    other = await connect()
    notes.leave("go")
    await session.request("logging/setLevel", {"level": "emergency"})
    await other.request("logging/setLevel", {"level": "debug"})
    for somebody, count in ((session, 1), (session.at(stack.other_url), 1), (other, 8)):
        assert len((await somebody.call("report", notes.directory)).of(LOG)) == count


async def test_log_lines_of_a_task_name_it(session: Session, notes: Notes):
    """basic/utilities/tasks#related-task-metadata: all notifications associated with a task MUST."""
    await session.request("logging/setLevel", {"level": "warning"})
    async with session.listen() as listening:
        await listening.primed()
        task_id = await session.create("step_by_step", notes.directory)
        async with session.stream(session.fetching(task_id)) as stream:
            await stream.primed()
            assert (await session.task(task_id))["status"] == "working"
            for step in (1, 2, 3):
                notes.leave(f"step-{step}")
                line = await stream.next(LOG)
                assert line["params"]["data"] == {"step": step}
                assert line["params"]["_meta"][RELATED] == {"taskId": task_id}
            notes.leave("go")
            await stream.reply()
        await session.terminate()
        await listening.end()
    assert listening.of(LOG) == []
