"""`call_tool` waits for its task, tells how it goes on, and returns what a tool returns."""

from __future__ import annotations

import asyncio

import pytest
from mcp import MCPError

from tasks_server.client import DetailedTask, Options, TaskCancelled, TaskNotFound
from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.sdk.agent import Agent, text_of
from tests.support.waiting import wait_until

INVALID_PARAMS = -32602
UNKNOWN = "0" * 32


async def test_a_call_that_becomes_a_task_returns_its_plain_result(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client, agent.calling(client, "hold", notes.directory) as call:
        await notes.seen("started")
        notes.leave("go")
        assert text_of(await call) == "held"
    assert agent.updates[0].status == "working"
    assert agent.updates[-1].status == "completed"
    assert agent.task_id == notes.lines("started")[0]


async def test_the_end_is_pushed(agent: Agent, notes: Notes) -> None:
    async with (
        agent.connected() as client,
        agent.calling(client, "hold_silently", notes.directory) as call,
    ):
        notes.leave("go")
        assert text_of(await call) == "held"
    assert agent.sent("tasks/get") == 0


async def test_progress_is_told_as_the_sdk_tells_it(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client, agent.calling(client, "report", notes.directory) as call:
        await wait_until(lambda: (3, 3, "part 3") in agent.progress, describing="progress")
        notes.leave("go")
        await call
    assert agent.progress == sorted(agent.progress)
    assert len(set(agent.progress)) == len(agent.progress), "told twice"


async def test_a_callback_that_fails_does_not_end_the_call(agent: Agent) -> None:
    async def stumble(task: DetailedTask) -> None:
        raise LookupError("the screen is gone")

    agent.with_options(on_update=stumble)
    async with agent.connected() as client:
        assert text_of(await client.call_tool("succeed")) == "done"


async def test_other_options_for_some_calls(agent: Agent) -> None:
    async with agent.connected() as client:
        with agent.tasks.using(Options()):
            await client.call_tool("succeed")
        assert agent.updates == []
        await client.call_tool("succeed")
    assert agent.updates


async def test_a_tool_that_is_never_a_task_is_called_as_always(agent: Agent) -> None:
    async with agent.connected() as client:
        assert text_of(await client.call_tool("greet", {"name": "Ida"})) == "Hello, Ida!"
    assert agent.updates == []


async def test_a_tools_own_error_is_a_result(agent: Agent) -> None:
    async with agent.connected() as client:
        result = await client.call_tool("fail")
    assert result.is_error
    assert text_of(result) == "The printer is on fire."


async def test_a_failed_task_raises_the_error_of_the_sdk(agent: Agent) -> None:
    async with agent.connected() as client:
        with pytest.raises(MCPError, match=r"The ledger is closed\.") as failed:
            await client.call_tool("fault")
    assert (failed.value.code, failed.value.data) == (-31000, {"until": "Monday"})


async def test_a_task_cancelled_by_somebody_else_says_so(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client, agent.calling(client, "hold", notes.directory) as call:
        await agent.tasks.attach(client, agent.task_id).cancel()
        with pytest.raises(TaskCancelled) as cancelled:
            await call
    assert cancelled.value.task_id == agent.task_id


async def test_an_unknown_task_is_a_clear_error(agent: Agent) -> None:
    async with agent.connected() as client:
        handle = agent.tasks.attach(client, UNKNOWN)
        for used in (handle.result, handle.look, handle.cancel):
            with pytest.raises(TaskNotFound, match=f"no task {UNKNOWN} for this client") as unknown:
                await used()
            assert unknown.value.code == INVALID_PARAMS


async def test_an_expired_task_is_a_clear_error(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        handle = await agent.started(client, "soon_forgotten", notes.directory)
        notes.leave("go")
        assert text_of(await handle.result()) == "done"

        async def has_expired() -> bool:
            try:
                await handle.look()
            except TaskNotFound:
                return True
            return False

        await wait_until(has_expired, describing="the task is forgotten")
        with pytest.raises(TaskNotFound):
            await handle.result()


async def test_many_calls_at_once_share_one_stream(agent: Agent, notes: Notes) -> None:
    async with agent.connected() as client:
        calls = [asyncio.create_task(client.call_tool("hold_silently", notes.directory)) for _ in range(20)]
        await wait_until(lambda: len({task.task_id for task in agent.updates}) == 20, describing="20 tasks")
        notes.leave("go")
        results = await asyncio.gather(*calls)
    assert [text_of(result) for result in results] == ["held"] * 20
    assert agent.sent("subscriptions/listen") < 20


async def test_the_stream_takes_in_new_calls_and_outlives_old_ones(agent: Agent, stack: Stack) -> None:
    first, second, third = (Notes(stack.new_directory()) for _ in range(3))
    async with (
        agent.connected() as client,
        agent.calling(client, "hold_silently", first.directory) as one,
        agent.calling(client, "hold_silently", second.directory) as two,
        agent.calling(client, "hold_silently", third.directory) as three,
    ):
        for notes, call in ((second, two), (first, one), (third, three)):
            notes.leave("go")
            assert text_of(await call) == "held"
    assert agent.sent("tasks/get") == 0
