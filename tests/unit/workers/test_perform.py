"""Functions as they run in the worker's own process: in its event loop, or in a thread."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from mcp_types import CreateMessageResult
from pydantic import BaseModel

from tasks_server.errors import RpcError
from tasks_server.task import Method
from tests.support.waiting import wait_until
from tests.unit.workers.recording_port import RecordingPort
from workers import (
    AskFirst,
    Declined,
    InvalidAnswer,
    ResourceNotFound,
    SyncTaskContext,
    TaskCancelled,
    TaskContext,
    ToolError,
    prompt,
    resource,
    tool,
)
from workers.execution import Work, calling, perform
from workers.registry import Registry


class Confirm(BaseModel):
    confirm: bool


class Page(BaseModel):
    number: int
    words: tuple[str, ...] = ()


NUMBER: dict[str, Any] = {"type": "object", "properties": {"number": {"type": "integer"}}}


def work_for(function: Callable[..., Any], method: Method = Method.CALL_TOOL, **arguments: Any) -> Work:
    return Work(method, function.__name__, arguments, "task-1", 2)


async def run(function: Callable[..., Any], port: RecordingPort | None = None, **arguments: Any) -> Any:
    registry = Registry()
    registry.add(function)
    return await perform(work_for(function, **arguments), registry, port or RecordingPort())


async def text_of(function: Callable[..., Any], port: RecordingPort | None = None, **arguments: Any) -> str:
    result = await run(function, port, **arguments)
    return result["content"][0]["text"]


# --- arguments and outcomes -------------------------------------------------------------------------------


async def test_arguments_arrive_as_the_types_the_function_names() -> None:
    @tool()
    async def show(page: Page, path: Path = Path("here")) -> str:
        """."""
        return f"{page!r} {path!r}"

    shown = await text_of(show, page={"number": 3, "words": ["a"]})
    assert shown == repr(Page(number=3, words=("a",))) + f" {Path('here')!r}"


async def test_only_surprises_are_logged_with_tool_task_and_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool()
    async def wait(how: str) -> str:
        """."""
        raise ToolError("expected") if how == "expected" else ValueError("surprise")

    @tool()
    def block() -> str:
        """."""
        raise ValueError("surprise")

    await text_of(wait, how="expected")
    assert caplog.records == []
    await text_of(wait, how="surprise")
    await text_of(block)
    assert [record.getMessage() for record in caplog.records] == [
        "task task-1: the tool wait failed",
        "task task-1: the tool block failed",
    ]
    assert all(record.exc_info for record in caplog.records)


async def test_a_surprise_in_a_prompt_resource_or_completion_is_logged_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @prompt()
    async def greet() -> str:
        """."""
        raise ValueError("surprise")

    def suggest(typed: str, others: dict[str, str]) -> list[str]:
        raise ValueError(typed)

    @resource("note://{name}", completions={"name": suggest})
    async def note(name: str) -> str:
        raise ValueError(name)

    registry = Registry()
    registry.add(greet)
    registry.add(note)
    completion = {
        "ref": {"type": "ref/resource", "uri": "note://{name}"},
        "argument": {"name": "name", "value": "x"},
    }
    for method, name, params in (
        (Method.GET_PROMPT, "greet", {}),
        (Method.READ_RESOURCE, "note://x", {}),
        (Method.COMPLETE, "", completion),
    ):
        with pytest.raises(RpcError):
            await perform(Work(method, name, params, "task-1", 1), registry, RecordingPort())
    assert [record.getMessage() for record in caplog.records] == [
        "task task-1: the prompt greet failed",
        "task task-1: the resource note://x failed",
        "task task-1: a completion failed",
    ]


async def test_wrong_arguments_are_an_error_result_that_names_each() -> None:
    @tool()
    async def show(page: Page, limit: int) -> str:
        """."""
        return ""

    result = await run(show, page={}, limit="many", lmit=1)
    assert result["isError"] is True
    for part in ("page.number: Field required", "limit: Input should be", "lmit: Extra inputs"):
        assert part in result["content"][0]["text"]


async def test_with_a_written_schema_the_arguments_come_as_they_are() -> None:
    @tool(input_schema={"type": "object"})
    async def raw(ctx: TaskContext, **arguments: Any) -> dict[str, Any]:
        """."""
        return arguments

    result = await run(raw, None, **{"any-name": 1})
    assert result["structuredContent"] == {"any-name": 1}


async def test_an_exception_is_an_error_result() -> None:
    @tool()
    async def fails() -> str:
        """."""
        raise ZeroDivisionError("by zero")

    assert await run(fails) == {
        "content": [{"type": "text", "text": "ZeroDivisionError: by zero"}],
        "isError": True,
    }


async def test_a_json_rpc_error_passes_through_also_from_a_task_group() -> None:
    @tool()
    async def refuses() -> str:
        """."""

        async def part() -> None:
            raise RpcError(-32050, "no", {"why": 1})

        async with asyncio.TaskGroup() as group:
            group.create_task(part())
        return ""

    with pytest.raises(RpcError) as raised:
        await run(refuses)
    assert raised.value.as_object() == {"code": -32050, "message": "no", "data": {"why": 1}}


async def test_exiting_the_program_only_fails_the_tool() -> None:
    @tool()
    async def exits() -> str:
        """."""
        sys.exit(3)

    @tool()
    def exits_in_thread() -> str:
        """."""
        sys.exit(4)

    assert await text_of(exits) == "RuntimeError: SystemExit: 3"
    assert await text_of(exits_in_thread) == "RuntimeError: SystemExit: 4"


async def test_a_function_that_cancels_itself_has_failed() -> None:
    @tool()
    async def cancels() -> str:
        """."""
        raise asyncio.CancelledError

    @tool()
    def cancels_in_thread() -> str:
        """."""
        raise TaskCancelled

    assert await text_of(cancels) == "The tool stopped as if it had been cancelled."
    assert await text_of(cancels_in_thread) == "The tool stopped as if it had been cancelled."


async def test_a_plain_function_runs_beside_the_event_loop() -> None:
    @tool()
    def where(ctx: SyncTaskContext) -> str:
        """."""
        ctx.progress(1, 2, "half")
        return threading.current_thread().name

    port = RecordingPort()
    assert await text_of(where, port) != threading.current_thread().name
    assert port.progress == [(1, 2, "half")]


# --- the context ------------------------------------------------------------------------------------------


async def test_a_tool_reports_what_it_does() -> None:
    @tool()
    async def reports(ctx: TaskContext) -> str:
        """."""
        await ctx.progress(1)
        await ctx.status("working on it")
        await ctx.log("info", Page(number=1), "parser")
        await ctx.announce_resource("note://x")
        await ctx.publish_catalog()
        return f"{ctx.task_id} {ctx.attempt} {ctx.cancelled}"

    port = RecordingPort()
    assert await text_of(reports, port) == "task-1 2 False"
    assert port.progress == [(1, None, None)]
    assert port.statuses == ["working on it"]
    assert port.lines == [("info", {"number": 1, "words": []}, "parser")]
    assert port.announced == ["note://x"]
    assert port.times_published == 1


async def test_a_plain_tool_has_the_same_verbs() -> None:
    @tool()
    def reports(ctx: SyncTaskContext) -> str:
        """."""
        ctx.progress(1)
        ctx.status("working on it")
        ctx.log("info", {"a": 1})
        ctx.announce_resource("note://x")
        ctx.publish_catalog()
        answer = ctx.ask("Sure?", Confirm, key="sure")
        ctx.ask_url("Pay", "https://pay.example/1", key="pay")
        said = ctx.sample("Capital?", key="capital")
        roots = ctx.roots(key="roots")
        return f"{ctx.task_id} {ctx.attempt} {ctx.cancelled} {answer} {said.model} {roots[0].uri}"

    message = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}
    port = RecordingPort(
        {
            "sure": {"action": "accept", "content": {"confirm": True}},
            "pay": {"action": "accept"},
            "capital": message,
            "roots": {"roots": [{"uri": "file:///x"}]},
        }
    )
    assert await text_of(reports, port) == "task-1 2 False confirm=True m file:///x"
    assert port.lines == [("info", {"a": 1}, None)]
    assert port.questions["pay"][1] == {"mode": "url", "message": "Pay", "url": "https://pay.example/1"}


async def test_an_answer_comes_back_as_the_model_that_asked() -> None:
    @tool()
    async def asks(ctx: TaskContext) -> str:
        """."""
        written: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
        return f"{await ctx.ask('Sure?', Confirm)} {await ctx.ask('How many?', written, key='n')}"

    port = RecordingPort(
        {
            "question-1": {"action": "accept", "content": {"confirm": False}},
            "n": {"action": "accept", "content": {"n": 4}},
        }
    )
    assert await text_of(asks, port) == "confirm=False {'n': 4}"
    method, params = port.questions["question-1"]
    assert (method, params["mode"], params["message"]) == ("elicitation/create", "form", "Sure?")
    assert params["requestedSchema"]["required"] == ["confirm"]


async def test_several_questions_stand_open_together() -> None:
    @tool()
    async def asks(ctx: TaskContext) -> str:
        """."""
        first, second = await asyncio.gather(
            ctx.ask("First?", Confirm, key="first"), ctx.ask("Second?", Confirm, key="second")
        )
        return f"{first} {second}"

    port = RecordingPort()
    running = asyncio.create_task(text_of(asks, port))
    await wait_until(lambda: len(port.questions) == 2, describing="both questions")
    port.answer("second", confirm=False)
    port.answer("first", confirm=True)
    assert await running == "confirm=True confirm=False"


async def test_a_declined_question_can_be_handled_or_ends_the_call() -> None:
    @tool()
    async def handles(ctx: TaskContext) -> str:
        """."""
        try:
            await ctx.ask_url("Pay", "https://pay.example", key="pay")
        except Declined as declined:
            return declined.action
        return "paid"

    @tool()
    async def does_not(ctx: TaskContext) -> str:
        """."""
        return str(await ctx.ask("Sure?", Confirm, key="sure"))

    port = RecordingPort({"pay": {"action": "cancel"}, "sure": {"action": "decline"}})
    assert await text_of(handles, port) == "cancel"
    assert await run(does_not, port) == {
        "content": [{"type": "text", "text": "The question was declined: Sure?"}],
        "isError": True,
    }


async def test_a_form_beyond_plain_fields_is_refused_where_it_is_asked() -> None:
    class Nested(BaseModel):
        inner: Confirm

    @tool()
    async def asks(ctx: TaskContext) -> str:
        """."""
        return str(await ctx.ask("?", Nested))

    port = RecordingPort()
    assert "field 'inner' cannot be in a form" in await text_of(asks, port)
    assert port.questions == {}


async def test_sampling_sends_messages_and_returns_the_clients() -> None:
    @tool()
    async def samples(ctx: TaskContext) -> str:
        """."""
        said: CreateMessageResult = await ctx.sample(
            "Capital?", max_tokens=5, system_prompt="Be brief", key="c"
        )
        return str(said.content)

    message = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}
    port = RecordingPort({"c": message})
    assert "Paris" in await text_of(samples, port)
    assert port.questions["c"] == (
        "sampling/createMessage",
        {
            "messages": [{"role": "user", "content": {"type": "text", "text": "Capital?"}}],
            "maxTokens": 5,
            "systemPrompt": "Be brief",
        },
    )


# --- steps ------------------------------------------------------------------------------------------------


async def test_a_step_is_taken_once_and_remembered_by_its_return_type() -> None:
    taken: list[int] = []

    def blocking(number: int) -> Page:
        taken.append(number)
        return Page(number=number, words=("a", "b"))

    async def awaiting(number: int) -> Page:
        return blocking(number)

    @tool()
    async def reads(ctx: TaskContext) -> str:
        """."""
        first = await ctx.step("first", blocking, 1)
        second = await ctx.step("second", awaiting, number=2)
        third = await ctx.step("third", partial(blocking, 3))
        return f"{first!r} {second!r} {third!r}"

    port = RecordingPort()
    shown = await text_of(reads, port)
    assert shown == " ".join(repr(Page(number=n, words=("a", "b"))) for n in (1, 2, 3))
    assert port.steps["first"] == {"number": 1, "words": ["a", "b"]}
    assert await text_of(reads, port) == shown
    assert taken == [1, 2, 3]


async def test_a_plain_tool_takes_its_steps_in_its_own_thread() -> None:
    @tool()
    def steps(ctx: SyncTaskContext) -> str:
        """."""
        return f"{ctx.step('where', threading.get_ident) == threading.get_ident()} {ctx.step('n', int, '4')}"

    port = RecordingPort()
    assert await text_of(steps, port) == "True 4"
    port.steps = {"where": 0, "n": 5}
    assert await text_of(steps, port) == "False 5"


async def test_without_a_return_type_the_first_run_sees_what_a_rerun_would() -> None:
    def pair():  # pyright: ignore
        return (1, 2)

    @tool()
    async def steps(ctx: TaskContext) -> str:
        """."""
        return repr(await ctx.step("pair", pair))  # pyright: ignore

    port = RecordingPort()
    assert await text_of(steps, port) == "[1, 2]"
    assert await text_of(steps, port) == "[1, 2]"


async def test_a_failed_step_is_not_remembered() -> None:
    def fails() -> None:
        raise ToolError("not yet")

    @tool()
    async def steps(ctx: TaskContext) -> None:
        """."""
        await ctx.step("s", fails)

    port = RecordingPort()
    assert await text_of(steps, port) == "not yet"
    assert port.steps == {}


async def test_a_step_name_is_used_once_per_run() -> None:
    @tool()
    async def loops(ctx: TaskContext) -> None:
        """."""
        for number in range(2):
            await ctx.step("page", str, number)

    assert "step 'page' was already taken in this run" in await text_of(loops)


# --- artifacts --------------------------------------------------------------------------------------------


async def test_an_artifact_is_stored_and_linked(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"\x00")

    @tool()
    async def leaves(ctx: TaskContext) -> list[Any]:
        """."""
        markdown = await ctx.artifact("a.md", "häh")
        return [
            markdown,
            await ctx.artifact("b.png", b"png"),
            await ctx.artifact("c.unknown", file),
            await ctx.artifact("d", "text", "text/x-d"),
            f"{markdown.size} {markdown.sha256[:8]}",
        ]

    port = RecordingPort()
    result = await run(leaves, port)
    assert port.files == {"a.md": "häh".encode(), "b.png": b"png", "c.unknown": b"\x00", "d": b"text"}
    *links, text = result["content"]
    assert [(link["uri"], link["mimeType"], link["size"]) for link in links] == [
        ("artifact://task/a.md", "text/markdown", 4),
        ("artifact://task/b.png", "image/png", 3),
        ("artifact://task/c.unknown", "application/octet-stream", 1),
        ("artifact://task/d", "text/x-d", 4),
    ]
    assert text["text"].startswith("4 ")


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/a", "a//b", "a\nb", "a\0b", "\udce9", "a" * 501])
async def test_a_name_nobody_could_find_again_is_refused(name: str) -> None:
    port = RecordingPort()

    @tool()
    async def names(ctx: TaskContext) -> int:
        """."""
        with pytest.raises(ValueError, match="artifact"):
            await ctx.artifact(name, "text")
        if "/" in name or name.startswith("."):
            return 0  # of files only
        with pytest.raises(ValueError, match="a step"):
            await ctx.step(name, int)
        if name:
            with pytest.raises(ValueError, match="a question"):
                await ctx.ask("How many?", NUMBER, key=name)
        return 0

    assert await text_of(names, port) == "0"
    assert (port.files, port.steps, port.questions) == ({}, {}, {})


@pytest.mark.parametrize("media_type", ["text", "text/html\r\nX-Evil: 1", "text/ü", "t/\0", "a/" + "b" * 300])
async def test_a_type_that_no_header_could_carry_is_refused(media_type: str) -> None:
    @tool()
    async def types(ctx: TaskContext) -> str:
        """."""
        with pytest.raises(ValueError, match="not a media type"):
            await ctx.artifact("a", "text", media_type)
        return (await ctx.artifact("a", "text", 'text/csv; header="present"')).mime_type

    assert await text_of(types) == 'text/csv; header="present"'


async def test_a_plain_tool_stores_artifacts_too() -> None:
    @tool()
    def leaves(ctx: SyncTaskContext) -> str:
        """."""
        return ctx.artifact("a.txt", "hello").uri

    assert await text_of(leaves) == "artifact://task/a.txt"


# --- questions before the task ----------------------------------------------------------------------------


@tool()
async def delete(
    filename: str,
    sure: Annotated[Confirm, AskFirst("Really delete {filename} in {folder}?")],
    extra: Annotated[Confirm | None, AskFirst("Anything else?", key="more")],
    folder: str = "inbox",
) -> str:
    """."""
    return f"{filename} {sure} {extra}"


async def deleted(answers: dict[str, Any], port: RecordingPort | None = None) -> Any:
    registry = Registry()
    registry.add(delete)
    work = Work(Method.CALL_TOOL, "delete", {"filename": "a"}, "t", 1, answers)
    return (await perform(work, registry, port or RecordingPort()))["content"][0]["text"]


async def test_answers_given_before_the_task_are_the_parameters() -> None:
    accepted = {"action": "accept", "content": {"confirm": True}}
    assert await deleted({"sure": accepted, "more": accepted}) == "a confirm=True confirm=True"
    assert await deleted({"sure": accepted, "more": {"action": "decline"}}) == "a confirm=True None"


async def test_a_question_that_must_be_accepted_ends_the_call_when_it_is_not() -> None:
    answers = {"sure": {"action": "decline"}, "more": {"action": "decline"}}
    assert await deleted(answers) == "The question was declined: Really delete a in inbox?"


async def test_an_answer_that_is_missing_is_asked_for_now() -> None:
    port = RecordingPort({"sure": {"action": "accept", "content": {"confirm": True}}})
    assert await deleted({"more": {"action": "cancel"}}, port) == "a confirm=True None"
    assert port.questions["sure"][1]["message"] == "Really delete a in inbox?"


async def test_an_answer_that_does_not_fit_is_an_error() -> None:
    answers: dict[str, Any] = {"sure": {"action": "accept", "content": {}}, "more": {"action": "decline"}}
    assert await deleted(answers) == str(InvalidAnswer("sure", "confirm: Field required"))


# --- prompts, resources, completion -----------------------------------------------------------------------


@prompt(completions={"topic": lambda typed, others: [f"{typed}{n}{others}" for n in range(120)]})
async def poem(ctx: TaskContext, topic: str, lines: int = 4) -> str:
    """A poem."""
    mood = await ctx.ask("Mood?", Confirm, key="mood")
    return f"{lines} lines on {topic}, {mood}"


async def suggest_year(typed: str, others: dict[str, str]) -> list[str]:
    return [typed + others.get("name", "")]


@resource("note://{year}/{name}", completions={"year": suggest_year})
def note(ctx: SyncTaskContext, year: int, name: str) -> dict[str, Any]:
    if name == "gone":
        raise ResourceNotFound(f"note://{year}/gone")
    return {"year": year, "name": name, "task": ctx.task_id}


def offers() -> Registry:
    registry = Registry()
    registry.add(poem)
    registry.add(note)
    return registry


async def request(method: Method, name: str, port: RecordingPort | None = None, **arguments: Any) -> Any:
    return await perform(Work(method, name, arguments, "t", 1), offers(), port or RecordingPort())


async def test_a_prompt_is_rendered_and_may_ask() -> None:
    port = RecordingPort({"mood": {"action": "accept", "content": {"confirm": True}}})
    result = await request(Method.GET_PROMPT, "poem", port, topic="rain", lines="2")
    assert result == {
        "description": "A poem.",
        "messages": [{"role": "user", "content": {"type": "text", "text": "2 lines on rain, confirm=True"}}],
    }


async def test_a_prompt_without_its_arguments_is_an_invalid_request() -> None:
    with pytest.raises(RpcError, match="topic: Field required") as raised:
        await request(Method.GET_PROMPT, "poem")
    assert raised.value.code == -32602


async def test_a_prompt_that_fails_is_an_internal_error() -> None:
    with pytest.raises(RpcError, match="The question was declined: Mood") as raised:
        await request(Method.GET_PROMPT, "poem", RecordingPort({"mood": {"action": "decline"}}), topic="x")
    assert raised.value.code == -32603


async def test_a_resource_is_read_with_the_variables_of_its_uri() -> None:
    result = await request(Method.READ_RESOURCE, "note://1999/a%2Fb")
    assert result["contents"] == [
        {
            "uri": "note://1999/a%2Fb",
            "mimeType": "application/json",
            "text": '{"year":1999,"name":"a/b","task":"t"}',
        }
    ]


@pytest.mark.parametrize("uri", ["note://1999/gone", "other://x", "note://not-a-year/x"])
async def test_a_resource_that_is_not_there_is_an_invalid_request(uri: str) -> None:
    with pytest.raises(RpcError) as raised:
        await request(Method.READ_RESOURCE, uri)
    assert (raised.value.code, raised.value.data) == (-32602, {"uri": uri})


async def test_completions_come_from_prompts_and_templates() -> None:
    completion = (
        await request(
            Method.COMPLETE,
            "",
            ref={"type": "ref/prompt", "name": "poem"},
            argument={"name": "topic", "value": "ra"},
        )
    )["completion"]
    assert completion["values"][:2] == ["ra0{}", "ra1{}"]
    assert (len(completion["values"]), completion["total"], completion["hasMore"]) == (100, 120, True)
    completion = await request(
        Method.COMPLETE,
        "",
        ref={"type": "ref/resource", "uri": "note://{year}/{name}"},
        argument={"name": "year", "value": "19"},
        context={"arguments": {"name": "x"}},
    )
    assert completion == {"completion": {"values": ["19x"], "total": 1, "hasMore": False}}


async def test_an_argument_without_completions_has_none() -> None:
    completion = await request(
        Method.COMPLETE,
        "",
        ref={"type": "ref/prompt", "name": "poem"},
        argument={"name": "lines", "value": ""},
    )
    assert completion == {"completion": {"values": [], "total": 0, "hasMore": False}}


async def test_completing_for_an_unknown_prompt_is_an_invalid_request() -> None:
    with pytest.raises(RpcError, match="Unknown prompt: other"):
        await request(Method.COMPLETE, "", ref={"type": "ref/prompt", "name": "other"}, argument={})


# --- the live catalog -------------------------------------------------------------------------------------


async def test_a_tool_can_offer_and_withdraw_another() -> None:
    @tool()
    async def guest() -> None:
        """."""

    @tool()
    async def toggles(ctx: TaskContext, on: bool) -> None:
        """."""
        if on:
            ctx.offer(guest)
        else:
            ctx.withdraw(guest)

    registry = Registry()
    registry.add(toggles)
    for on, expected in ((True, ["toggles", "guest"]), (False, ["toggles"])):
        await perform(work_for(toggles, on=on), registry, RecordingPort())
        assert [offer.name for offer in registry.manifest().tools] == expected


# --- cancelling -------------------------------------------------------------------------------------------


async def test_a_cancelled_coroutine_knows_that_it_was_and_may_clean_up() -> None:
    events: list[str] = []

    @tool()
    async def waits(ctx: TaskContext) -> None:
        """."""
        ctx.on_cancel(lambda: events.append("told"))
        ctx.on_cancel(lambda: events.append(1 / 0))  # type: ignore[arg-type]  # pyright: ignore
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append(f"left, cancelled={ctx.cancelled}")

    running = asyncio.create_task(run(waits))
    await wait_until(lambda: events, describing="the tool's beginning")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert events == ["begun", "told", "left, cancelled=True"]


async def test_a_cancelled_thread_is_told_and_stopped_at_its_next_call() -> None:
    events: list[str] = []
    begun, told = threading.Event(), threading.Event()

    @tool()
    def works(ctx: SyncTaskContext) -> None:
        """."""
        ctx.on_cancel(told.set)
        begun.set()
        told.wait(10)
        events.append(f"cancelled={ctx.cancelled}")
        try:
            ctx.progress(1)
        except Exception:
            events.append("swallowed")
        finally:
            events.append("left")

    port = RecordingPort()
    running = asyncio.create_task(run(works, port))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert events == ["cancelled=True", "left"]
    assert port.progress == []


async def test_a_thread_that_waits_for_an_answer_is_stopped_at_once() -> None:
    events: list[str] = []

    @tool()
    def asks(ctx: SyncTaskContext) -> None:
        """."""
        try:
            ctx.ask("Sure?", Confirm, key="sure")
        except TaskCancelled:
            events.append("stopped")
            raise

    port = RecordingPort()
    running = asyncio.create_task(run(asks, port))
    await wait_until(lambda: port.questions, describing="the question")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert events == ["stopped"]


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_function_that_does_not_leave_is_abandoned(
    blocking: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, release, left = threading.Event(), threading.Event(), threading.Event()

    @tool("stubborn")
    def stubborn_thread() -> None:
        """."""
        begun.set()
        release.wait(10)
        left.set()

    @tool("stubborn")
    async def stubborn_coroutine() -> None:
        """."""
        begun.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        left.set()

    definition = stubborn_thread if blocking else stubborn_coroutine
    registry = Registry()
    registry.add(definition)
    tool_definition = registry.tool("stubborn")
    around = calling.Surroundings(RecordingPort(), grace_seconds=0.05)
    work = Work(Method.CALL_TOOL, "stubborn", {}, "t", 1)
    running = asyncio.create_task(calling.call(tool_definition, {}, work, around))
    await asyncio.to_thread(begun.wait, 10)
    with caplog.at_level(logging.WARNING):
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert "stubborn was cancelled and has not left after 0.05 s" in caplog.text
    assert not left.is_set()
    release.set()
    assert await asyncio.to_thread(left.wait, 10)
