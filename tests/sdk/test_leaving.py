"""Whoever does not wait any longer chooses what becomes of the task, and can come back to it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import anyio
import pytest
from mcp_types import CallToolResult

from tasks_server.client import TaskCancelled, TasksExtension
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.sdk.agent import Agent, text_of

ROOT = Path(__file__).parents[2]
COLLECT = """\
import asyncio, json, sys
from mcp import Client
from tasks_server.client import TasksExtension, steady_http

async def main(url, task_id):
    tasks = TasksExtension()
    async with Client(steady_http(url), extensions=[tasks]) as client:
        print((await tasks.attach(client, task_id).result()).model_dump_json())

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_call_that_is_cancelled_cancels_its_task(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client, agent.calling(client, "hold", notes.directory) as call:
        await notes.seen("started")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await notes.seen("stopped")
        await agent.sees(client, agent.task_id, "cancelled")


async def test_a_call_that_is_cancelled_can_leave_its_task(agent: Agent, notes: Notes) -> None:
    agent.with_options(if_abandoned="detach")
    async with agent.connected() as client:
        async with agent.calling(client, "hold", notes.directory) as call:
            await notes.seen("started")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        notes.leave("go")
        assert text_of(await agent.tasks.attach(client, agent.task_id).result()) == "held"
    assert agent.sent("tasks/cancel") == 0


async def test_a_time_limit_is_the_callers(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        with pytest.raises(TimeoutError), anyio.fail_after(0.5):
            await client.call_tool("hold", notes.directory)
        await agent.sees(client, agent.task_id, "cancelled")


async def test_a_task_is_only_started(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "hold", notes.directory)
        assert (await handle.look()).status == "working"
    assert await notes.seen("started") == [handle.task_id]
    assert agent.updates == []


async def test_what_is_no_task_cannot_be_left(agent: Agent) -> None:
    async with agent.connected() as client:
        result = await agent.tasks.start(client, "greet", {"name": "Ida"})
    assert isinstance(result, CallToolResult)
    assert text_of(result) == "Hello, Ida!"


async def test_another_process_takes_the_task_up_at_another_replica(
    agent: Agent, notes: Notes, stack: Stack
) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "hold", notes.directory)
    command = (sys.executable, "-c", COLLECT, stack.other_url, handle.task_id)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    await notes.seen("started")
    notes.leave("go")
    output, _ = await process.communicate()
    assert text_of(CallToolResult.model_validate(json.loads(output))) == "held"


async def test_two_wait_for_the_same_task(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "hold", notes.directory)
        first, second = (asyncio.create_task(handle.result()) for _ in range(2))
        await notes.seen("started")
        notes.leave("go")
        assert [text_of(result) for result in await asyncio.gather(first, second)] == ["held", "held"]


async def test_whoever_stops_waiting_with_a_handle_leaves_the_task(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "hold", notes.directory)
        waiting = asyncio.create_task(handle.result())
        await notes.seen("started")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        notes.leave("go")
        assert text_of(await handle.result()) == "held"


async def test_a_handle_cancels_on_request(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "hold", notes.directory)
        waiting = asyncio.create_task(handle.result())
        await notes.seen("started")
        await handle.cancel()
        with pytest.raises(TaskCancelled):
            await waiting
        await notes.seen("stopped")


async def test_attaching_needs_the_clients_own_extension(agent: Agent) -> None:
    async with agent.connected() as client:
        with pytest.raises(ValueError, match="not the client's"):
            TasksExtension().attach(client, "0" * 32)


async def test_on_an_older_connection_a_call_is_what_it_is_without_tasks(agent: Agent) -> None:
    async with agent.connected(mode="legacy") as client:
        assert client.protocol_version == "2025-11-25"
        assert text_of(await client.call_tool("succeed")) == "done"
        started = await agent.tasks.start(client, "succeed")
        assert isinstance(started, CallToolResult)
        assert text_of(started) == "done"
        with pytest.raises(RuntimeError, match="speaks 2025-11-25"):
            agent.tasks.attach(client, "0" * 32)
    assert agent.updates == []
