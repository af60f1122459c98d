"""Tools that a test can follow and hold up."""

from __future__ import annotations

import asyncio

from tests.protocol.spec.tools.directory import has_come, note, until
from workers import TaskContext, tool

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@tool()
async def hold(ctx: TaskContext, directory: str) -> str:
    """Notes that it has started, waits for `go`, and notes when it is stopped."""
    note(directory, "started", ctx.task_id)
    try:
        await until(directory, "go")
    except asyncio.CancelledError:
        note(directory, "stopped", ctx.task_id)
        raise
    return "held"


@tool()
async def report(ctx: TaskContext, directory: str) -> str:
    """Reports progress, also progress that is none, and log lines; then waits for `go`."""
    for done in (1, 2, 2, 1.5, 3):
        await ctx.progress(done, 3, f"part {done:g}")
    for level in LEVELS:
        await ctx.log(level, {"said at": level}, "reporter")
    note(directory, "reported")
    ctx.on_cancel(lambda: note(directory, "stopped"))
    await until(directory, "go")
    await ctx.progress(4, 4, "over")
    return "reported"


@tool()
async def step_by_step(ctx: TaskContext, directory: str) -> str:
    """Reports progress, and logs a line, whenever the test lets it: three times."""
    for done in (1, 2, 3):
        await until(directory, f"step-{done}")
        await ctx.progress(done, 3, f"step {done}")
        await ctx.log("warning", {"step": done}, "stepper")
    await until(directory, "go")
    return "arrived"


@tool()
async def count(ctx: TaskContext, directory: str) -> str:
    """Reports and logs one number after the other until `go` is there; how many they were."""
    number = 0
    while not has_come(directory, "go"):
        number += 1
        await ctx.progress(number)
        await ctx.log("info", number)
        await asyncio.sleep(0.005)
    return f"{number}"


@tool()
async def say(ctx: TaskContext, directory: str) -> str:
    """Says what it is doing before and after it waits for `go`, then waits for `end`."""
    await ctx.status("Looking for a pen")
    note(directory, "started")
    await until(directory, "go")
    await ctx.status("Writing with the pen")
    note(directory, "writing")
    await until(directory, "end")
    return "written"


@tool(keep="500ms")
async def soon_forgotten(directory: str) -> str:
    """Is kept only briefly once it has ended."""
    await until(directory, "go")
    return "done"
