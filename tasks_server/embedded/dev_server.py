"""The server of `tasks-server dev`: everything that takes long to load, and works once the stack below it is there."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from socket import socket

from tasks_server.app import build_app
from tasks_server.embedded.readiness import NewWorker, banner, until_answering
from tasks_server.embedded.stack import EmbeddedStack
from tasks_server.listener import url_of
from tasks_server.serve import HttpServer
from tasks_server.settings import Settings
from tasks_server.startup import migrate_database


async def run(settings: Settings, stack: EmbeddedStack, listener: socket, stop: asyncio.Event) -> int:
    """Serve until told to stop; the exit code. Raises ConfigurationError."""
    await migrate_database(settings.database_url)
    async with AsyncExitStack() as resources:
        newcomer = NewWorker(settings.database_url)
        resources.push_async_callback(newcomer.close)
        await newcomer.remember_earlier()
        app = build_app(settings)
        await resources.enter_async_context(app.router.lifespan_context(app))
        if stack.shared.is_first:
            # The server keeps what it has read of them until the new worker makes it read again.
            await newcomer.forget_earlier()
        stack.worker.let_work()
        server = HttpServer(app, listener, app.mcp.ring)
        announcing = asyncio.create_task(_announce(newcomer, listener, settings, stack))
        try:
            return await _until_stopped(server, stack, stop)
        finally:
            announcing.cancel()
            await asyncio.wait([announcing])


async def _until_stopped(server: HttpServer, stack: EmbeddedStack, stop: asyncio.Event) -> int:
    """Until the signal, or until either of them cannot go on; then both end, at the same time."""
    serving = asyncio.create_task(server.run_until_stopped())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stack.working, stopping], return_when=asyncio.FIRST_COMPLETED)
    code = stack.working.result() if stack.working.done() else 0
    stopping.cancel()
    server.stop()
    await asyncio.gather(serving, stack.worker.stop())
    return code


async def _announce(newcomer: NewWorker, listener: socket, settings: Settings, stack: EmbeddedStack) -> None:
    manifest = await newcomer.manifest()
    await until_answering(listener)
    tools = [tool.name for tool in manifest.tools]
    shown = banner(url_of(listener), tools, settings, stack.data.path, is_first=stack.shared.is_first)
    sys.stdout.write(shown)
    sys.stdout.flush()
