"""Tools, a prompt and a resource that ask: before they run, while they run, in every way there is."""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp_types import CreateMessageResult, TextContent
from pydantic import BaseModel

from tests.protocol.spec.tools.directory import note, until
from workers import AskFirst, RpcError, TaskContext, prompt, resource, tool

MISSING_CAPABILITY = -32021


class Name(BaseModel):
    name: str


class Agreement(BaseModel):
    ok: bool


@tool()
async def ask_twice(ctx: TaskContext, directory: str) -> str:
    """Asks who somebody is, then whether they agree; its one effect is a step."""
    note(directory, "tasks", ctx.task_id)
    await ctx.step("effect", note, directory, "effects")
    asked = await ctx.ask("Who are you?", Name, key="who")
    agreed = await ctx.ask("Do you agree?", Agreement, key="agreed")
    return f"{asked.name}: {agreed.ok}"


@tool()
async def ask_later(ctx: TaskContext, directory: str) -> str:
    """Asks who somebody is when the test lets it."""
    await until(directory, "go")
    return (await ctx.ask("Who are you?", Name, key="who")).name


@tool()
async def ask_the_same_twice(ctx: TaskContext) -> str:
    """Asks one question two times without naming it."""
    first = await ctx.ask("Who are you?", Name)
    second = await ctx.ask("Who are you?", Name)
    return f"{first.name} and {second.name}"


@tool()
async def ask_together(ctx: TaskContext) -> str:
    """Asks two things at the same time."""
    name, agreed = await asyncio.gather(
        ctx.ask("Who are you?", Name, key="who"), ctx.ask("Do you agree?", Agreement, key="agreed")
    )
    return f"{name.name}: {agreed.ok}"


@tool()
async def ask_on_a_page(ctx: TaskContext) -> str:
    """Sends the person to a page."""
    await ctx.ask_url("Please sign", "https://sign.example/1", key="sign")
    return "signed"


@tool()
async def ask_somebody(ctx: TaskContext) -> str:
    """Asks the person; if that cannot be, the model."""
    try:
        return (await ctx.ask("Who are you?", Name, key="who")).name
    except RpcError as error:
        if error.code != MISSING_CAPABILITY:
            raise
        return _said(await ctx.sample("Invent a name", key="invented"))


@tool()
async def sample(ctx: TaskContext) -> str:
    """Has the client's model say something."""
    return _said(await ctx.sample("Say hello", max_tokens=50, key="greeting"))


@tool()
async def list_roots(ctx: TaskContext) -> str:
    """Asks for the client's roots."""
    return ", ".join(str(root.uri) for root in await ctx.roots(key="roots"))


@tool()
async def delete(
    filename: str,
    directory: str,
    confirm: Annotated[Agreement, AskFirst("Really delete {filename} from {folder}?")],
    folder: str = "inbox",
) -> str:
    """Asks before it becomes a task."""
    note(directory, "deleted", filename)
    return f"{filename}: {confirm.ok}"


@tool(task="required")
async def delete_as_task(
    filename: str, confirm: Annotated[Agreement, AskFirst("Really delete {filename}?")]
) -> str:
    """Asks before it becomes a task, which it must."""
    return f"{filename}: {confirm.ok}"


@prompt()
async def introduce(ctx: TaskContext) -> str:
    """Asks while it is being rendered."""
    return f"This is {(await ctx.ask('Who are you?', Name, key='who')).name}."


@resource("spec://secret", mime_type="text/plain")
async def secret(ctx: TaskContext) -> str:
    """Asks before it is read."""
    return f"for {(await ctx.ask('Who are you?', Name, key='who')).name} only"


def _said(message: CreateMessageResult) -> str:
    return message.content.text if isinstance(message.content, TextContent) else message.content.type
