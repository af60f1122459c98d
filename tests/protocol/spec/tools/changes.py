"""Tools that change what is offered, or say that something has changed."""

from __future__ import annotations

from tests.protocol.spec import passing
from workers import TaskContext, tool

_offered: set[str] = set()


@tool(task="forbidden")
async def toggle(ctx: TaskContext, what: str) -> str:
    """Offers a tool, a prompt or a resource, or withdraws it."""
    function = passing.OFFERS[what]
    if what in _offered:
        _offered.remove(what)
        ctx.withdraw(function)
    else:
        _offered.add(what)
        ctx.offer(function)
    await ctx.publish_catalog()
    return "offered" if what in _offered else "withdrawn"


@tool(task="forbidden")
async def announce(ctx: TaskContext, uri: str) -> str:
    """Says that a resource has changed."""
    await ctx.announce_resource(uri)
    return "announced"
