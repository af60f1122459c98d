"""Run a blocking function beside the event loop, in a thread that cannot hold up the process's exit.

Not a pool: a tool that ignores its cancellation is abandoned, and must then neither occupy a slot that others
need nor be joined when the worker stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Start = Callable[[Callable[[], None]], None]


def start_daemon(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="tool", daemon=True).start()


def in_thread(function: Callable[[], T], start: Start = start_daemon) -> asyncio.Future[T]:
    """Begin `function` where `start` puts it; the future is completed in the running loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            set_outcome(outcome)

    def run() -> None:
        try:
            outcome, set_outcome = context.run(function), future.set_result
        except BaseException as error:
            outcome, set_outcome = carriable(error), future.set_exception
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, set_outcome, outcome)

    start(run)
    return future


def carriable(error: BaseException) -> BaseException:
    """The error a function raised, such that it can travel through futures and tasks without harm."""
    if isinstance(error, MemoryError):
        # What filled the memory hangs in the traceback's frames; reporting the error needs some.
        traceback.clear_frames(error.__traceback__)
    if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):
        # These would end the event loop, and the worker with it.
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
