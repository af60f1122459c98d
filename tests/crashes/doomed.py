"""What the tools do whose processes die. The diary is the effect outside: a line for everything that was done."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from tests.crashes import instants
from workers import TaskContext

CONSENT: dict[str, Any] = {"type": "object", "properties": {}}
STAGES = 12


def write(diary: str, line: str) -> str:
    with Path(diary).open("a") as file:
        file.write(f"{line}\n")
    return line


def stroke(diary: str, line: str) -> str:
    """A step with two effects."""
    write(diary, f"{line} begun")
    instants.reached(instants.IN_STEP)
    return write(diary, f"{line} done")


async def labour(ctx: TaskContext, diary: str, gate: str) -> str:
    """A step, an artifact, an end."""
    write(diary, "start")
    await ctx.progress(1, 2)
    await ctx.step("step", stroke, diary, "step")
    await ctx.artifact("plan.txt", f"the plan of {ctx.task_id}")
    write(diary, "end")
    return "done"


async def inquiry(ctx: TaskContext, diary: str, gate: str) -> str:
    """A step, a question, an end."""
    write(diary, "start")
    await ctx.step("step", stroke, diary, "step")
    await ctx.ask("Go on?", CONSENT)
    write(diary, "end")
    return "done"


async def vigil(ctx: TaskContext, diary: str, gate: str) -> str:
    """A step, then a wait for a file."""
    await ctx.step("step", stroke, diary, "step")
    write(diary, "start")
    while not Path(gate).exists():  # noqa: ASYNC110 - the file is how another process gives leave
        await asyncio.sleep(0.01)
    write(diary, "end")
    return "done"


async def sentry(ctx: TaskContext, diary: str, gate: str) -> str:
    """Reports while it waits for a file, and says so when it is stopped."""
    write(diary, "start")
    try:
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
            await ctx.progress(1, 2, f"attempt {ctx.attempt}")
    except asyncio.CancelledError:
        write(diary, "stopped")
        raise
    write(diary, "end")
    return "done"


async def blockade(ctx: TaskContext, diary: str, gate: str) -> str:
    """Asynchronous in name only: its wait for a file blocks the event loop."""
    write(diary, "start")
    while not Path(gate).exists():
        time.sleep(0.01)  # noqa: ASYNC251 - the fault
    await asyncio.sleep(0)
    write(diary, "end")
    return "done"


def toil(diary: str, gate: str) -> str:
    """For a process of its own: says which, then waits for a file."""
    write(diary, f"process {os.getpid()}")
    while not Path(gate).exists():
        time.sleep(0.01)
    write(diary, "end")
    return "done"


async def stages(ctx: TaskContext, diary: str, gate: str) -> str:
    """Many steps, each with one effect; the last waits for a file."""
    for number in range(STAGES):
        while number == STAGES - 1 and not Path(gate).exists():  # noqa: ASYNC110 - as in `vigil`
            await asyncio.sleep(0.01)
        await ctx.step(f"step-{number}", write, diary, f"{number}")
        await ctx.log("info", number)
    return "done"


async def saga(ctx: TaskContext, diary: str, gate: str) -> str:
    """Tells how far it is before and after it waits for a file."""
    await ctx.log("info", "before")
    await ctx.progress(1, 3, "begun")
    write(diary, "start")
    while not Path(gate).exists():  # noqa: ASYNC110 - the file is how another process gives leave
        await asyncio.sleep(0.01)
    await ctx.log("info", "after")
    write(diary, "end")
    return "done"


async def dilemma(ctx: TaskContext, diary: str, gate: str) -> str:
    """Waits for a file, asks, and says what it was told."""
    write(diary, "start")
    while not Path(gate).exists():  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    await ctx.ask("Go on?", CONSENT)
    write(diary, "end")
    return "done"
