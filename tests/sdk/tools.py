"""Tools whose tasks want to be polled hardly ever, or often; and tools that ask one question."""

from __future__ import annotations

from typing import Any

from tests.protocol.spec.tools.directory import note, until
from workers import TaskContext, tool

AGREEMENT: dict[str, Any] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
}


@tool(poll_interval="1h")
async def hold_silently(directory: str) -> str:
    """Waits for `go`; who polls learns of it tomorrow."""
    note(directory, "started")
    await until(directory, "go")
    return "held"


@tool(poll_interval="300ms")
async def hold_loudly(directory: str) -> str:
    """Waits for `go`, and wants to be asked about it."""
    note(directory, "started")
    await until(directory, "go")
    return "held"


@tool()
async def ask_once(ctx: TaskContext) -> str:
    """Asks one question, and waits for ever."""
    answer = await ctx.ask("Go on?", AGREEMENT, key="sure")
    return f"answered {answer['ok']}"


@tool()
async def ask_briefly(ctx: TaskContext) -> str:
    """Takes no answer for a yes after a moment."""
    answer = await ctx.ask("Go on?", AGREEMENT, key="sure", within="2s", default={"ok": True})
    return f"answered {answer['ok']}"
