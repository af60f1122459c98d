"""Tools that outlast the patience of a host that knows no tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from tests.protocol.spec.tools.directory import note, until
from tests.unit.protocol.schemas import MOVABLE, NOT_MOVABLE, Example
from workers import RpcError, TaskContext, ToolError, tool


class Consent(BaseModel):
    ok: bool


@tool(task="forbidden")
async def hold_directly(directory: str) -> str:
    """Waits for `go`, and is never a task."""
    note(directory, "started directly")
    await until(directory, "go")
    return "held directly"


@tool()
async def ask_then_hold(ctx: TaskContext, directory: str) -> str:
    """Asks, then waits for `go`."""
    consent = await ctx.ask("May I hold?", Consent, key="may")
    await ctx.progress(1, 2)
    await until(directory, "go")
    return f"held: {consent.ok}"


@tool()
async def hold_then_ask(ctx: TaskContext, directory: str) -> str:
    """Waits for `go`, then asks."""
    await until(directory, "go")
    return f"held: {(await ctx.ask('Was it held?', Consent, key='was')).ok}"


@tool()
async def hold_then_fail(directory: str, *, badly: bool = False) -> str:
    """Waits for `go`, then ends with an error of its own, or a protocol error."""
    await until(directory, "go")
    if badly:
        raise RpcError(-31000, "The ledger is closed.")
    raise ToolError("The printer is on fire.")


def _shaped(number: int, example: Example) -> Callable[..., Any]:
    async def shaped(directory: str) -> Any:
        await until(directory, "go")
        return example.result

    declared = tool(f"shaped_{number}", description=example.name, output_schema=example.schema)
    return declared(shaped)


SHAPES = (*MOVABLE, *NOT_MOVABLE)
globals().update({f"shaped_{number}": _shaped(number, example) for number, example in enumerate(SHAPES)})
