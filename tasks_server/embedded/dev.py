"""`tasks-server dev`: server, worker, SQLite and a Valkey in one command, on the code paths of production.

The server runs in this process, the worker and Valkey as children of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks_server.child import kill_children
from tasks_server.embedded.data_directory import home_directory, readable_roots
from tasks_server.embedded.stack import StackOptions, embedded_stack
from tasks_server.event_loop import INTERRUPTED, on_stop_signals
from tasks_server.listener import open_listener
from tasks_server.loading import loaded
from tasks_server.settings import Settings

# Somebody at a terminal has pressed Ctrl-C and waits; handing work back loses none of it.
SHUTDOWN_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What the command line says. overrides: the settings it names, by field."""

    data_directory: Path
    tools: Sequence[str]
    concurrency: int
    overrides: dict[str, Any]


async def dev(options: DevOptions) -> int:
    """Run everything until a signal ends it; the exit code. Raises ConfigurationError."""
    stop = asyncio.Event()
    on_stop_signals(stop.set, _end_at_once)
    given = Settings.read(**options.overrides)
    stack_options = StackOptions(
        options.data_directory,
        options.tools,
        options.concurrency,
        file_roots=readable_roots(Path.cwd(), home_directory()),
        shutdown_grace_seconds=SHUTDOWN_GRACE_SECONDS,
    )
    with open_listener(given) as listener:
        async with embedded_stack(stack_options, given) as stack:
            await loaded("tasks_server.embedded.dev_server")
            from tasks_server.embedded.dev_server import run

            return await run(Settings.read(**options.overrides), stack, listener, stop)


def _end_at_once() -> None:
    kill_children()
    os._exit(INTERRUPTED)
