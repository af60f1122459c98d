"""Call an author's function in this process, and stop it when the caller is cancelled."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workers.cancellation import Cancellation
from workers.context import TaskContext
from workers.current_run import LiveCatalog, Run
from workers.daemon_thread import Start, carriable, in_thread, start_daemon
from workers.definition import Definition
from workers.errors import ToolError
from workers.execution.work import Work
from workers.port import TaskPort
from workers.sync_context import SyncTaskContext

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""How long a function may take to leave after it was told to stop."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where functions run. catalog is None in a subprocess. start says what thread plain functions get.

    grace_seconds None waits for a cancelled function for as long as it takes.
    """

    port: TaskPort
    catalog: LiveCatalog | None = None
    start: Start = start_daemon
    grace_seconds: float | None = GRACE_SECONDS


async def call(definition: Definition, values: dict[str, Any], work: Work, around: Surroundings) -> Any:
    """What the function returns or raises. Cancelled, it passes that on and waits for the function to end."""
    cancellation = Cancellation()
    current = Run(work.task_id, work.attempt, cancellation, around.catalog)
    context = TaskContext(around.port, current)
    if definition.signature.is_async:
        positional = [context] if definition.signature.context else []
        run = _contained(definition.function(*positional, **values))
        task = asyncio.create_task(run, name=f"task {work.task_id}")
        return await until_done(task, definition.name, cancellation, around.grace_seconds, task.cancel)
    plain = SyncTaskContext(context, around.port, current, asyncio.get_running_loop())
    positional = [plain] if definition.signature.context else []
    run = in_thread(functools.partial(definition.function, *positional, **values), around.start)
    return await until_done(run, definition.name, cancellation, around.grace_seconds)


async def until_done(
    run: asyncio.Future[T],
    name: str,
    cancellation: Cancellation,
    grace_seconds: float | None,
    stop: Callable[[], object] = lambda: None,
) -> T:
    """The outcome of `run`. When this is cancelled: set the switch, stop, allow the grace, then abandon."""
    try:
        await asyncio.wait({run})
    except asyncio.CancelledError:
        run.add_done_callback(_retrieve)
        cancellation.request()
        stop()
        await asyncio.wait({run}, timeout=grace_seconds)
        if not run.done():
            logger.warning("%s was cancelled and has not left after %g s", name, grace_seconds)
        raise
    if run.cancelled():
        raise ToolError("The tool stopped as if it had been cancelled.")
    return run.result()


async def _contained(awaitable: Awaitable[T]) -> T:
    try:
        return await awaitable
    except (SystemExit, KeyboardInterrupt, MemoryError) as error:
        raise carriable(error) from None


def _retrieve(run: asyncio.Future[Any]) -> None:
    """Nobody will look at an abandoned outcome; asyncio need not complain about that."""
    if not run.cancelled():
        run.exception()
