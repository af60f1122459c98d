"""Tools that just end: well, with an error of their own, with a protocol error, with a crash."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from workers import RpcError, ToolError, tool


class Point(BaseModel):
    x: int
    y: int


@tool(task="forbidden")
async def greet(name: str, times: Annotated[int, Field(ge=1, le=9)] = 1) -> str:
    """Greets, and is never a task."""
    return " ".join([f"Hello, {name}!"] * times)


@tool(task="forbidden")
async def no_arguments() -> str:
    """Takes nothing."""
    return "nothing taken"


@tool(title="Middle of two points", task="forbidden")
async def middle(a: Point, b: Point) -> Point:
    """Returns structured content."""
    return Point(x=(a.x + b.x) // 2, y=(a.y + b.y) // 2)


@tool()
async def succeed(text: str = "done") -> str:
    """Ends well."""
    return text


@tool()
async def fail() -> str:
    """Ends with an error of its own."""
    raise ToolError("The printer is on fire.")


@tool()
async def fault() -> str:
    """Ends with a protocol error."""
    raise RpcError(-31000, "The ledger is closed.", {"until": "Monday"})


@tool(retries=0)
async def break_down() -> str:
    """Ends with an exception its author did not foresee."""
    raise RuntimeError("secret detail")


@tool(task="required")
async def only_as_task() -> str:
    """Can only be a task."""
    return "done"
