"""Tools that store much."""

from __future__ import annotations

from workers import TaskContext, tool

LINE = "A line of a long report.\n"


@tool()
async def report(ctx: TaskContext, lines: int) -> list[str]:
    """A file and a text of so many lines."""
    stored = await ctx.artifact("report.txt", LINE * lines)
    return [stored.uri, LINE * lines]
