"""`tasks-server dev`: server, worker, SQLite and a Valkey in one command, on the code paths of production.

The server runs in this process, the worker and Valkey as children of it. What production reads from its
environment, this command first puts there.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from tasks_server.app import build_app
from tasks_server.embedded.child import kill_children
from tasks_server.embedded.data_directory import DataDirectory
from tasks_server.embedded.readiness import NewWorker, banner, until_answering
from tasks_server.embedded.shared_settings import SharedSettings, agreed
from tasks_server.embedded.valkey import embedded_valkey
from tasks_server.embedded.worker_process import WorkerProcess
from tasks_server.event_loop import on_stop_signals
from tasks_server.serve import INTERRUPTED, HttpServer, open_listener, url_of
from tasks_server.settings import Settings
from tasks_server.startup import migrate_database


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
    os.umask(0o077)
    given = Settings.read(**options.overrides)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(open_listener(given))
        data = DataDirectory(options.data_directory)
        _put_into_environment(data.settings(), given)
        shared = stack.enter_context(agreed(data.path, given, data.shared_settings()))
        os.environ.update(shared.environment())
        if not shared.values["redis_url"]:
            os.environ["TASKS_REDIS_URL"] = await stack.enter_async_context(embedded_valkey(data.valkey))
        settings = Settings.read(**options.overrides)
        await migrate_database(settings.database_url)
        newcomer = NewWorker(settings.database_url)
        stack.push_async_callback(newcomer.close)
        await newcomer.remember_earlier()
        app = build_app(settings)
        await stack.enter_async_context(app.router.lifespan_context(app))
        if shared.is_first:
            # The server keeps what it has read of them until the new worker makes it read again.
            await newcomer.forget_earlier()
        server = HttpServer(app, listener)
        worker = WorkerProcess(options.tools, options.concurrency)
        announcing = asyncio.create_task(_announce(newcomer, listener, settings, data, shared))
        try:
            return await _run(server, worker, stop)
        finally:
            announcing.cancel()
            await asyncio.wait([announcing])


async def _run(server: HttpServer, worker: WorkerProcess, stop: asyncio.Event) -> int:
    """Until the signal, or until either of them cannot go on; then both end, at the same time."""
    serving = asyncio.create_task(server.run_until_stopped())
    working = asyncio.create_task(worker.keep_running())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, working, stopping], return_when=asyncio.FIRST_COMPLETED)
    code = working.result() if working.done() else 0
    working.cancel()
    stopping.cancel()
    server.stop()
    await asyncio.gather(serving, worker.stop())
    return code


def _put_into_environment(defaults: dict[str, str], given: Settings) -> None:
    """For this process and its worker, which inherits it; what the operator has set stays."""
    for field, value in defaults.items():
        if field not in given.model_fields_set:
            os.environ[f"TASKS_{field.upper()}"] = value


def _end_at_once() -> None:
    kill_children()
    os._exit(INTERRUPTED)


async def _announce(
    newcomer: NewWorker, listener: socket, settings: Settings, data: DataDirectory, shared: SharedSettings
) -> None:
    manifest = await newcomer.manifest()
    await until_answering(listener)
    tools = [tool.name for tool in manifest.tools]
    sys.stdout.write(banner(url_of(listener), tools, settings, data.path, is_first=shared.is_first))
    sys.stdout.flush()
