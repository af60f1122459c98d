"""The event loop of every process here, and the signals that end it."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # there is none for this platform
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")

log = logging.getLogger(__name__)

SAME_WISH_SECONDS = 0.5
YOUNG_OBJECTS = 5_000
# The exit code of who is told twice to stop, and ends at once.
INTERRUPTED = 128 + signal.SIGINT


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on uvloop where it is installed."""
    _leave_what_is_loaded()
    runner = asyncio.Runner(loop_factory=new_event_loop)
    try:
        return runner.run(main)
    finally:
        _close(runner)


def _leave_what_is_loaded() -> None:
    """Modules and schemas stay for as long as the process: looking through them for garbage takes tens of ms."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def _close(runner: asyncio.Runner) -> None:
    try:
        runner.close()
    except OSError as error:
        # uvloop's, of a connection that was just being made. The work is done, and the exit code is to say so.
        log.warning("The event loop ended with something open: %s", error)


def on_stop_signals(first: Callable[[], Any], again: Callable[[], Any]) -> None:
    """Call `first` on the first SIGINT, SIGTERM or SIGHUP of this process, and `again` on later ones.

    What comes within half a second is the same wish: programs that start others like to pass a signal on that
    the terminal has sent already. A SIGHUP that was ignored from the start (nohup) stays so.
    """
    loop = asyncio.get_running_loop()
    first_at: float | None = None

    def handle() -> None:
        nonlocal first_at
        if first_at is None:
            first_at = loop.time()
            first()
        elif loop.time() - first_at > SAME_WISH_SECONDS:
            again()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if not (number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            loop.add_signal_handler(number, handle)
