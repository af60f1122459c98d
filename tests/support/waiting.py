"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def wait_until(
    predicate: Callable[[], T | Awaitable[T]],
    timeout_seconds: float = 10.0,
    *,
    describing: str,
    every: float = 0.01,
) -> T:
    """Poll `predicate` (a plain or an async function) until it answers with something truthy; return that.

    Looks `every` so many seconds. Raises AssertionError naming `describing`, with the last answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    while True:
        answer: Any = predicate()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(
                f"never came within {timeout_seconds} s: {describing} (last answer: {value!r})"
            )
        await asyncio.sleep(every)
