"""Run a tool in a process of its own: the worker's side.

One process per run, in its own session, so that it and everything it starts can be killed together; on Linux below
a process that outlives it and ends what has left the session (`subreaper.py`). Beside
its exit code the worker hears from it only through one inherited socket (`frames.py`); what the tool prints
goes to the worker's standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from tasks_server.settings import Settings
from workers.cancellation import Cancellation
from workers.daemon_thread import in_thread
from workers.definition import ToolDefinition
from workers.errors import ToolError
from workers.execution.calling import Surroundings, until_done
from workers.execution.frames import Frame, encoded, read_frame
from workers.execution.keeper import Keeper
from workers.execution.limits import MEMORY_CAN_BE_LIMITED, OUT_OF_MEMORY
from workers.execution.remote_port import PortServer, outcome
from workers.execution.subreaper import CAN_SUBREAP, END_EVERYTHING
from workers.execution.work import Work
from workers.port import TaskPort
from workers.result import memory_exceeded
from workers.units import size_in_words

logger = logging.getLogger(__name__)

EXIT_SECONDS = 1.0
"""How long a process that should be ending is left alone before the next, ruder signal."""


keeper = Keeper()


async def call_in_process(definition: ToolDefinition, work: Work, around: Surroundings) -> dict[str, Any]:
    """The tool's CallToolResult. Raises RpcError and Transient as the tool did, ToolError when its process died."""
    if definition.memory_bytes is not None and not MEMORY_CAN_BE_LIMITED:
        _say_that_memory_is_unlimited()
    async with _started() as child:
        cancellation = Cancellation()
        cancellation.on_request(lambda: child.send({"cancel": True}))
        conversation = asyncio.ensure_future(_converse(child, definition, work, around.port))
        return await until_done(conversation, definition.name, cancellation, around.grace_seconds)


class _Child:
    """A running process. `exit_code` is done once it has ended and nothing of its group is left."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._leaving = False
        self.is_unwanted = False
        keeper.watch(process.pid)  # before it is told what to do: it has started nothing yet
        self.exit_code = in_thread(functools.partial(_reap, process))

    def send(self, frame: Frame) -> None:
        if not self._writer.is_closing():
            self._writer.write(encoded(frame))

    async def receive(self) -> Frame | None:
        """The next frame; None after the last one."""
        frame = await read_frame(self._reader)
        self._leaving = frame is None or "done" in frame
        return frame

    async def end(self) -> None:
        """See the process off: by its own will if it is leaving, else by SIGTERM, else by SIGKILL."""
        self.is_unwanted = True
        if not (self._leaving and await self._exits()):
            _signal_group(self._process.pid, signal.SIGTERM)
            if not await self._exits():
                if CAN_SUBREAP:
                    _signal(self._process.pid, END_EVERYTHING)
                if not (CAN_SUBREAP and await self._exits()):
                    _signal_group(self._process.pid, signal.SIGKILL)
                await self.exit_code

    async def _exits(self) -> bool:
        await asyncio.wait({self.exit_code}, timeout=EXIT_SECONDS)
        return self.exit_code.done()


@contextlib.asynccontextmanager
async def _started() -> AsyncGenerator[_Child]:
    ours, theirs = socket.socketpair()
    with theirs, tempfile.TemporaryDirectory(prefix="tool-", ignore_cleanup_errors=True) as scratch:
        reader, writer = await asyncio.open_connection(sock=ours)
        with contextlib.closing(writer):
            child = _Child(_spawn(theirs.fileno(), scratch), reader, writer)
            theirs.close()
            try:
                yield child
            finally:
                await asyncio.shield(child.end())


def _spawn(connection: int, scratch: str) -> subprocess.Popen[bytes]:
    # Forked from the event loop's own thread: the parent-death signal follows the thread, not the process.
    return subprocess.Popen(  # noqa: S603  our own module
        [sys.executable, "-P", "-m", "workers.execution.child", str(connection), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=2,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path()), "TMPDIR": scratch},
        pass_fds=(connection,),
        start_new_session=True,
    )


async def _converse(child: _Child, definition: ToolDefinition, work: Work, port: TaskPort) -> dict[str, Any]:
    server = PortServer(port, child.send)
    child.send(
        {
            "work": dataclasses.asdict(work),
            "module": definition.function.__module__,
            "function": definition.function.__qualname__,
            "memory_bytes": definition.memory_bytes,
            "log_format": Settings.read().log_format,
            "python_path": os.environ.get("PYTHONPATH"),
        }
    )
    try:
        while (frame := await child.receive()) is not None:
            if "done" in frame:
                return outcome(frame["done"])
            server.accept(frame)
    finally:
        await server.close()
    cause = _cause_of_death(await child.exit_code, definition.memory_bytes)
    if not child.is_unwanted:  # else it was deaf to its cancellation, and has been killed for that
        logger.error("task %s: the tool %s: %s", work.task_id, work.name, cause)
    raise ToolError(cause)


def _cause_of_death(exit_code: int, memory_bytes: int | None) -> str:
    if exit_code == OUT_OF_MEMORY and memory_bytes is not None:
        return memory_exceeded(memory_bytes)
    if exit_code >= 0:
        return f"The tool's process ended with exit code {exit_code} before it returned a result."
    name = signal.Signals(-exit_code).name
    text = f"The tool's process was killed by {name} before it returned a result."
    if memory_bytes is None:
        return text
    return f"{text} It may have exceeded its memory limit of {size_in_words(memory_bytes)}."


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process in a thread, and kill what it leaves running."""
    if hasattr(os, "waitid"):
        # While the ended process is not yet reaped, nobody else can get its group's number.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        _kill_rest(process.pid)
        return process.wait()
    code = process.wait()
    _kill_rest(process.pid)
    return code


def _kill_rest(group: int) -> None:
    _signal_group(group, signal.SIGKILL)
    keeper.forget(group)


def _signal(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(group, number)


def _import_path() -> list[str]:
    return [entry or str(Path.cwd()) for entry in sys.path]


@functools.cache
def _say_that_memory_is_unlimited() -> None:
    logger.warning("this platform cannot limit a process's memory; memory= of tools has no effect here")
