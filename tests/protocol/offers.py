"""What the worker of these tests offers. It runs in the test's own process, so a test can hold its tools up."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, Field

from workers import AskFirst, RpcError, TaskContext, ToolError, prompt, resource, tool


class Switchboard:
    """Events by name, made when first mentioned: what a tool reached, and what it may go on to do."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def set(self, name: str) -> None:
        self._events[name].set()

    def is_set(self, name: str) -> bool:
        return self._events[name].is_set()

    async def wait(self, name: str) -> None:
        async with asyncio.timeout(10):
            await self._events[name].wait()


board = Switchboard()
starts: dict[str, int] = defaultdict(int)


def reset() -> None:
    global board
    board = Switchboard()
    starts.clear()


class Name(BaseModel):
    name: str


class Agreement(BaseModel):
    ok: bool


@tool()
async def greet(name: str, times: Annotated[int, Field(ge=1, le=9)] = 1) -> str:
    """Says hello."""
    return " ".join([f"Hello, {name}!"] * times)


@tool()
async def hold(ctx: TaskContext, label: str = "held") -> str:
    """Says that it runs, then waits until it may go on."""
    starts["hold"] += 1
    board.set("holding")
    try:
        await board.wait("go on")
    except asyncio.CancelledError:
        board.set("stopped")
        raise
    return label


@tool()
async def count(ctx: TaskContext, *, upto: int) -> str:
    """Reports progress and log lines at every step, and waits before it ends."""
    for step in range(1, upto + 1):
        await ctx.progress(step, upto, f"step {step}")
        await ctx.log("debug", {"step": step})
        await ctx.log("warning", f"after {step}", logger="counter")
    await ctx.progress(upto - 1, upto)
    board.set("counted")
    await board.wait("go on")
    return str(upto)


@tool()
async def fail() -> str:
    """Fails the way tools fail."""
    raise ToolError("It did not work; try something else.")


@tool()
async def fault() -> str:
    """Fails the way protocols fail."""
    raise RpcError(-31999, "Out of order", {"since": "today"})


@tool(task="required")
async def only_as_task() -> str:
    """Can only be a task."""
    return "done"


@tool(task="forbidden")
async def never_as_task() -> str:
    """Is never a task."""
    return "done"


@tool()
async def ask_twice(ctx: TaskContext) -> str:
    """Asks for a name, then for agreement."""
    starts["ask_twice"] += 1
    asked = await ctx.ask("Who are you?", Name, key="who")
    agreed = await ctx.ask("Agreed?", Agreement, key="agreed")
    return f"{asked.name}: {agreed.ok}"


@tool()
async def ask_together(ctx: TaskContext) -> str:
    """Asks two things at the same time."""
    name, agreed = await asyncio.gather(
        ctx.ask("Who are you?", Name, key="who"), ctx.ask("Agreed?", Agreement, key="agreed")
    )
    return f"{name.name}: {agreed.ok}"


@tool()
async def ask_outside(ctx: TaskContext) -> str:
    """Sends the person to a page."""
    await ctx.ask_url("Please sign", "https://sign.example/1", key="sign")
    return "signed"


@tool()
async def sample(ctx: TaskContext) -> str:
    """Has the client's model say something."""
    return (await ctx.sample("Say hello", key="greeting")).model


@tool()
async def delete(
    filename: str,
    confirm: Annotated[Agreement, AskFirst("Really delete {filename}?")],
    reason: Annotated[Name | None, AskFirst("Why?")],
) -> str:
    """Asks before it becomes a task."""
    return f"{filename}: {confirm.ok}, {reason.name if reason else 'no reason'}"


@tool()
async def route(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Has an argument that travels in a header too."""
    return region


@tool()
async def store(ctx: TaskContext, name: str, text: str = "", mime_type: str | None = None) -> list[str]:
    """Keeps a text as an artifact."""
    artifact = await ctx.artifact(name, text, mime_type)
    return [artifact.uri]


@tool()
async def store_bytes(ctx: TaskContext, name: str, size: int) -> list[str]:
    """Keeps bytes that are not text as an artifact."""
    artifact = await ctx.artifact(name, b"\xff" * size)
    return [artifact.uri]


@tool(task="forbidden")
async def announce(ctx: TaskContext, uri: str) -> str:
    """Says that a resource has changed."""
    await ctx.announce_resource(uri)
    return "announced"


@tool(task="forbidden")
async def offer_more(ctx: TaskContext) -> str:
    """Adds a tool."""
    ctx.offer(latecomer)
    await ctx.publish_catalog()
    return "offered"


@tool()
async def latecomer() -> str:
    """Was not there from the start."""
    return "here"


@prompt(completions={"language": lambda typed, others: [f"{typed}thon", *others.values()]})
async def review(code: str, language: str = "python") -> str:
    """Asks for a review."""
    return f"Review this {language}: {code}"


@prompt()
async def ask_first(ctx: TaskContext) -> str:
    """Asks while it is being rendered."""
    return (await ctx.ask("Who are you?", Name, key="who")).name


@resource("note://today", mime_type="text/plain")
async def today() -> str:
    """A note."""
    return "It rains."


@resource("note://{day}/text", mime_type="text/plain", completions={"day": lambda typed, others: ["monday"]})
async def note_of(day: str) -> str:
    """A note of some day."""
    return f"It rained on {day}."


OFFERED: list[Callable[..., Any]] = [
    greet,
    hold,
    count,
    fail,
    fault,
    only_as_task,
    never_as_task,
    ask_twice,
    ask_together,
    ask_outside,
    sample,
    delete,
    route,
    store,
    store_bytes,
    announce,
    offer_more,
    review,
    ask_first,
    today,
    note_of,
]
