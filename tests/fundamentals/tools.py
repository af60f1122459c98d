"""The tools of these tests: what an author writes, nothing more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel

from workers import TaskContext, tool


class Person(BaseModel):
    name: str


@tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool()
async def walk(ctx: TaskContext, gate: str) -> str:
    """Report two steps on the way, the second when a file exists."""
    await ctx.progress(1, 2, "half way")
    await _until_exists(Path(gate))
    await ctx.progress(2, 2, "there")
    return "arrived"


@tool()
async def greet(ctx: TaskContext) -> str:
    """Ask for a name and greet."""
    person = await ctx.ask("Who are you?", Person)
    return f"Hello, {person.name}!"


@tool()
async def build(ctx: TaskContext, diary: str, gate: str) -> str:
    """Lay the foundation, wait until a file exists, then put up the walls. The diary gets a line for each."""
    await ctx.step("foundation", write_down, diary, "foundation")
    await ctx.progress(1, 2, "the foundation is laid")
    await _until_exists(Path(gate))
    await ctx.step("walls", write_down, diary, "walls")
    return "a house"


def write_down(diary: str, what: str) -> str:
    with Path(diary).open("a") as file:
        file.write(f"{what}\n")
    return what


async def _until_exists(path: Path) -> None:
    while not path.exists():  # noqa: ASYNC110 - the file is how the test gives leave
        await asyncio.sleep(0.01)
