"""Tools that keep files."""

from __future__ import annotations

from workers import TaskContext, tool


@tool(task="forbidden")
async def keep_text(ctx: TaskContext, name: str, text: str, mime_type: str | None = None) -> str:
    """Keeps a text as an artifact; returns its URI."""
    return (await ctx.artifact(name, text, mime_type)).uri


@tool(task="forbidden")
async def keep_bytes(ctx: TaskContext, name: str, size: int, mime_type: str | None = None) -> str:
    """Keeps so many bytes that are not text as an artifact; returns its URI."""
    return (await ctx.artifact(name, b"\xff" * size, mime_type)).uri
