"""What comes and goes while the tests run; in a module of its own, so that no worker offers it from the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers import prompt, resource, tool


@tool(task="forbidden")
async def sometimes_there() -> str:
    """Comes and goes with `toggle`."""
    return "there"


@prompt()
async def sometimes_asked() -> str:
    """Comes and goes with `toggle`."""
    return "there"


@resource("spec://sometimes")
async def sometimes_kept() -> str:
    """Comes and goes with `toggle`."""
    return "there"


OFFERS: dict[str, Callable[..., Any]] = {
    "tool": sometimes_there,
    "prompt": sometimes_asked,
    "resource": sometimes_kept,
}
