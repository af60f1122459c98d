"""`tasks-server serve --processes N`: several servers under one address, one for each core.

Each has a socket of its own on the same port, among which the kernel spreads the connections; where it does not
(macOS), they share one. The sockets stay open here, so that nobody is refused while a server is started again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from signal import SIGTERM
from socket import socket

from tasks_server.child import Child, kept_running, kill_children
from tasks_server.command_line import REFUSED
from tasks_server.event_loop import INTERRUPTED, on_stop_signals
from tasks_server.listener import open_listener, url_of
from tasks_server.settings import Settings
from tasks_server.startup import check_database

log = logging.getLogger(__name__)

STOP_SECONDS = 15.0
"""Longer than a server takes to end its streams."""

LONGEST_PAUSE_SECONDS = 1.0
"""Between a server that has died and the next: its share of the connections waits meanwhile."""


async def serve_in_processes(settings: Settings, number: int) -> int:
    """Until SIGINT, SIGTERM or SIGHUP, or until a server refuses to start; the exit code."""
    stop = asyncio.Event()
    on_stop_signals(stop.set, _end_at_once)
    with ExitStack() as open_sockets:
        listeners = [open_sockets.enter_context(each) for each in _listeners(settings, number)]
        await check_database(settings.database_url)
        servers = [_Server(listener) for listener in listeners]
        log.info("Listening on %s with %d processes", url_of(listeners[0]), number)
        return await _until_stopped(servers, stop)


def _listeners(settings: Settings, number: int) -> list[socket]:
    first = open_listener(settings, is_shared=number > 1)
    if sys.platform != "linux":
        return [first, *(first.dup() for _ in range(number - 1))]
    port = first.getsockname()[1]
    others = settings.model_copy(update={"port": port})
    return [first, *(open_listener(others, is_shared=True) for _ in range(number - 1))]


async def _until_stopped(servers: Sequence[_Server], stop: asyncio.Event) -> int:
    running = [asyncio.create_task(server.keep_running()) for server in servers]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    refused = next((task.result() for task in running if task.done()), 0)
    for task in (*running, stopping):
        task.cancel()
    await asyncio.gather(*running, stopping, return_exceptions=True)
    codes = await asyncio.gather(*(server.stop() for server in servers))
    return refused or max(codes)


class _Server:
    """One of them: started again when it dies, for as long as it was good for something before."""

    def __init__(self, listener: socket) -> None:
        self._descriptor = listener.fileno()
        self._child: Child | None = None

    async def keep_running(self) -> int:
        """Returns only if the first process is refused; its exit code."""
        return await kept_running(self._start, "A server", REFUSED, LONGEST_PAUSE_SECONDS)

    async def _start(self) -> Child:
        command = [sys.executable, "-m", "tasks_server", "serve", "--listener", str(self._descriptor)]
        self._child = await Child.spawn(command, pass_fds=[self._descriptor])
        return self._child

    async def stop(self) -> int:
        """Let it end in order; the exit code. One that has only just been started ends by the signal itself."""
        if self._child is None:
            return 0
        await self._child.stop(STOP_SECONDS)
        return 0 if self._child.exit_code in (0, REFUSED, -SIGTERM) else 1


def _end_at_once() -> None:
    kill_children()
    os._exit(INTERRUPTED)
