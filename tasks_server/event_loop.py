"""The event loop of every process here, and the signals that end it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # there is none for this platform
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on uvloop where it is installed."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def on_stop_signals(first: Callable[[], Any], again: Callable[[], Any]) -> None:
    """Call `first` on the first SIGINT, SIGTERM or SIGHUP of this process, and `again` on every later one."""
    calls = iter([first])
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: next(calls, again)())
