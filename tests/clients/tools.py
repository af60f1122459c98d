"""What the clients call. `tasks-server dev --tools tests.clients.tools` offers it."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from workers import TaskContext, ToolError, tool


class Counted(BaseModel):
    last: int


class Agreement(BaseModel):
    agreed: bool


@tool(poll_interval="100ms")
async def count(ctx: TaskContext, to: int) -> Counted:
    """Counts, and says each number."""
    for number in range(1, to + 1):
        await ctx.progress(number, to, f"said {number}")
        await asyncio.sleep(0.02)
    return Counted(last=to)


@tool(poll_interval="100ms")
async def reserve(ctx: TaskContext, seats: int) -> str:
    """Asks before it reserves."""
    answer = await ctx.ask(f"Reserve {seats} seats?", Agreement)
    return f"Reserved {seats} seats" if answer.agreed else "Reserved nothing"


@tool(poll_interval="100ms")
async def wait(ctx: TaskContext) -> str:
    """Waits until it is cancelled."""
    await ctx.status("Waiting")
    await asyncio.Event().wait()
    return "Nobody cancelled"


@tool(poll_interval="100ms")
async def fail() -> str:
    """Reports an error of its own."""
    raise ToolError("This always fails")
