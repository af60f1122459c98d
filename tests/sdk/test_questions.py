"""Questions of a task reach the client's own callbacks, and their answers the task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import MCPError
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    Root,
    TextContent,
)
from pydantic import FileUrl

from tests.protocol.spec.notes import Notes
from tests.sdk.agent import Agent, text_of
from tests.support.waiting import wait_until

GIVEN: dict[str, dict[str, Any]] = {"who": {"name": "Ida"}, "agreed": {"ok": True}, "sure": {"ok": False}}


class Person:
    """Answers forms by the keys of their questions, as soon as `free` is set."""

    def __init__(self, *given: dict[str, Any]) -> None:
        self.given = list(given)
        self.asked: list[str] = []
        self.interrupted = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.interrupted.set()
            raise
        content = self.given.pop(0) if self.given else GIVEN[str(context.request_id)]
        return ElicitResult(action="accept", content=content)


async def refuse(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:
    return ErrorData(code=-31001, message="nobody is here")


async def test_one_question_after_the_other(agent: Agent, notes: Notes) -> None:
    person = Person()
    async with agent.connected(elicitation_callback=person) as client:
        assert text_of(await client.call_tool("ask_twice", notes.directory)) == "Ida: True"
    assert person.asked == ["Who are you?", "Do you agree?"]
    assert "input_required" in [task.status for task in agent.updates]


async def test_two_questions_at_the_same_time(agent: Agent) -> None:
    person = Person()
    person.free.clear()
    async with (
        agent.connected(elicitation_callback=person) as client,
        agent.calling(client, "ask_together", {}) as call,
    ):
        await wait_until(lambda: len(person.asked) == 2, describing="both questions")
        person.free.set()
        assert text_of(await call) == "Ida: True"
    assert sorted(person.asked) == ["Do you agree?", "Who are you?"]


async def test_a_question_before_the_task(agent: Agent) -> None:
    person = Person({"ok": True})
    async with agent.connected(elicitation_callback=person) as client:
        result = await client.call_tool("delete_as_task", {"filename": "old.txt"})
    assert text_of(result) == "old.txt: True"


async def test_the_clients_model_and_roots(agent: Agent) -> None:
    async def sample(
        context: ClientRequestContext, params: CreateMessageRequestParams
    ) -> CreateMessageResult:
        return CreateMessageResult(
            role="assistant", content=TextContent(type="text", text="hello"), model="m"
        )

    async def roots(context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///library"))])

    async with agent.connected(sampling_callback=sample, list_roots_callback=roots) as client:
        assert text_of(await client.call_tool("sample")) == "hello"
        assert text_of(await client.call_tool("list_roots")) == "file:///library"


async def test_an_answer_that_does_not_fit_is_asked_for_again(agent: Agent) -> None:
    person = Person({"ok": "perhaps"}, {"ok": True})
    async with agent.connected(elicitation_callback=person) as client:
        assert text_of(await client.call_tool("ask_once")) == "answered True"
    first, second = person.asked
    assert first == "Go on?"
    assert second.endswith("\n\nGo on?")
    assert "perhaps" in second


async def test_whoever_never_gives_a_fitting_answer_is_told_why(agent: Agent) -> None:
    person = Person(*[{"ok": "perhaps"}] * 3)
    async with agent.connected(elicitation_callback=person) as client:
        with pytest.raises(MCPError, match="perhaps"):
            await client.call_tool("ask_once")
    assert person.given == []


async def test_a_refused_question_cancels_the_task(agent: Agent) -> None:
    async with agent.connected(elicitation_callback=refuse) as client:
        with pytest.raises(MCPError, match="nobody is here") as refused:
            await client.call_tool("ask_together")
        assert refused.value.code == -31001
        await agent.sees(client, agent.task_id, "cancelled")


async def test_a_refused_question_leaves_a_task_whose_id_somebody_holds(agent: Agent) -> None:
    person = Person()
    async with agent.connected(elicitation_callback=refuse) as client:
        handle = await agent.started(client, "ask_together", {})
        with pytest.raises(MCPError, match="nobody is here"):
            await handle.result()
    async with agent.connected(elicitation_callback=person) as client:
        assert text_of(await agent.tasks.attach(client, handle.task_id).result()) == "Ida: True"


async def test_whoever_only_watches_waits_for_the_answers_of_others(agent: Agent) -> None:
    watcher = Agent(agent.url)
    watcher.with_options(answers=False)
    nobody, person = Person(), Person()
    async with (
        agent.connected(elicitation_callback=person) as client,
        watcher.connected(elicitation_callback=nobody) as other,
    ):
        handle = await agent.started(client, "ask_together", {})
        watching = asyncio.create_task(watcher.tasks.attach(other, handle.task_id).result())
        await wait_until(
            lambda: "input_required" in [task.status for task in watcher.updates],
            describing="the watcher sees the question",
        )
        await handle.result()
        assert text_of(await watching) == "Ida: True"
    assert nobody.asked == []


async def test_a_question_that_somebody_else_answers_is_taken_away(agent: Agent, notes: Notes) -> None:
    slow, quick = Person(), Person()
    slow.free.clear()

    async def only_the_first(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        if context.request_id != "who":
            await asyncio.Event().wait()
        return await quick(context, params)

    async with (
        agent.connected(elicitation_callback=slow) as client,
        agent.connected(elicitation_callback=only_the_first) as other,
        agent.calling(client, "ask_twice", notes.directory) as call,
    ):
        await wait_until(lambda: slow.asked, describing="the first question")
        helping = asyncio.create_task(agent.tasks.attach(other, agent.task_id).result())
        await slow.interrupted.wait()
        slow.free.set()
        assert text_of(await call) == text_of(await helping) == "Ida: True"
    assert quick.asked == ["Who are you?"]


async def test_a_question_whose_time_is_over_is_taken_away(agent: Agent) -> None:
    slow = Person()
    slow.free.clear()
    async with agent.connected(elicitation_callback=slow) as client:
        assert text_of(await client.call_tool("ask_briefly")) == "answered True"
    assert slow.asked == ["Go on?"]
    assert slow.interrupted.is_set()
