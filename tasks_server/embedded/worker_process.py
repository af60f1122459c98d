"""The worker of an embedded stack: a child process that is started again when it dies."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from tasks_server.child import Child, kept_running
from tasks_server.command_line import REFUSED

# Longer than the worker takes to let short work finish and to hand back the rest.
STOP_GRACE_SECONDS = 20.0


class WorkerProcess:
    """Runs `python -m workers` with this process's environment. It loads its tools at once, and works when let."""

    def __init__(self, tools: Sequence[str], concurrency: int) -> None:
        named = [word for module in tools for word in ("--tools", module)]
        self._command = [sys.executable, "-m", "workers", *named, "--concurrency", str(concurrency), "--held"]
        self._child: Child | None = None
        self._may_work = False
        self._running: asyncio.Task[int] | None = None

    def start(self) -> asyncio.Task[int]:
        """Keep a worker running until `stop`; the task ends only if the first one is refused, with its exit code."""
        self._running = asyncio.create_task(
            kept_running(self._start_one, "The worker", REFUSED), name="worker process"
        )
        return self._running

    def let_work(self) -> None:
        """Everything that the worker needs is there."""
        self._may_work = True
        if self._child is not None:
            self._child.release()

    async def stop(self) -> None:
        """Let the worker hand back what it runs, and end."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._child is not None:
            await self._child.stop(STOP_GRACE_SECONDS)

    async def _start_one(self) -> Child:
        self._child = await Child.spawn(self._command, held=True)
        if self._may_work:
            self._child.release()
        return self._child
