"""The command: talks from the first moment, while everything that takes longer to load comes up behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks_server.event_loop import INTERRUPTED, on_stop_signals
from tasks_server.loading import loaded
from tasks_server.protocol.router import Router
from tasks_server.protocol.v2026_07_28.opening import OPENING
from tasks_server.stdio.streams import Streams
from tasks_server.transport.lines import LineReader, LineWriter
from tasks_server.transport.stdio import StdioConnection

FIRST_LIMIT_BYTES = 16 * 1024 * 1024
"""How long a line may be before the settings are known."""

CLOSED_GRACE_SECONDS = 0.5
"""How long requests are still answered after the host has closed the pipe."""

STOP_GRACE_SECONDS = 1.0
"""How long streams have to end properly when a signal ends us. Hosts lose patience after some seconds."""


@dataclass(frozen=True, slots=True)
class StdioOptions:
    """What the command line says; no data directory means the user's own."""

    data_directory: Path | None
    tools: Sequence[str]
    concurrency: int


async def stdio(options: StdioOptions, streams: Streams) -> int:
    """Serve until the host closes the pipe, or a signal comes; the exit code. Raises ConfigurationError."""
    stop, leaving = asyncio.Event(), asyncio.Event()
    on_stop_signals(stop.set, _end_at_once)
    reader, writer = LineReader(streams.input, FIRST_LIMIT_BYTES), LineWriter(streams.output)
    connection = StdioConnection(reader, writer, Router.without_parts([OPENING]))

    async def close() -> None:
        grace = STOP_GRACE_SECONDS if stop.is_set() else CLOSED_GRACE_SECONDS
        await connection.close(grace, says_farewell=stop.is_set())

    async def back() -> int:
        await loaded("tasks_server.stdio.backing")
        from tasks_server.stdio.backing import stand_behind

        return await stand_behind(options, connection, leaving, close)

    talking = asyncio.create_task(connection.run())
    stopping = asyncio.create_task(stop.wait())
    backing = asyncio.create_task(back())
    await asyncio.wait([talking, stopping, backing], return_when=asyncio.FIRST_COMPLETED)
    leaving.set()
    if not connection.is_served and not backing.done():
        await close()
        backing.cancel()
    try:
        await asyncio.wait([backing])
        return 0 if backing.cancelled() else backing.result()
    finally:
        talking.cancel()
        stopping.cancel()
        await asyncio.wait([talking, stopping])


def _end_at_once() -> None:
    from tasks_server.child import kill_children

    kill_children()
    os._exit(INTERRUPTED)
