"""Serving HTTP until somebody says stop: uvicorn, with the signals and the socket in our hands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.types import ASGIApp

from tasks_server.app import build_app
from tasks_server.event_loop import INTERRUPTED, on_stop_signals
from tasks_server.listener import open_listener, url_of
from tasks_server.settings import Settings
from tasks_server.startup import check_database
from tasks_server.transport.patience import PatientProtocol

log = logging.getLogger(__name__)

# A client that does not read its stream must not keep the process from ending.
SHUTDOWN_GRACE_SECONDS = 5


class HttpServer(uvicorn.Server):
    """Serves one application on one listening socket until `stop`. farewell: tells its open streams that it stops."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, farewell: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                lifespan="off",  # whoever runs the server runs the lifespan, and sees its errors as they are
                log_config=None,
                access_log=False,
                proxy_headers=False,  # nothing depends on who the client is
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._farewell = farewell
        self._listener = listener

    async def run_until_stopped(self) -> None:
        """Accept requests; after `stop`, finish those that are under way."""
        await self.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Stop accepting. Open streams are told at once, and by this call sse-starlette hears of it too."""
        self._farewell()
        self.handle_exit(signal.SIGTERM, None)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn would take the process's signals; they belong to whoever runs this server."""
        yield


async def serve(settings: Settings, inherited: int | None = None) -> None:
    """`tasks-server serve`: until SIGINT, SIGTERM or SIGHUP.

    inherited: the descriptor of a listening socket that whoever started this process has opened, and told of.
    """
    stop = asyncio.Event()
    on_stop_signals(stop.set, lambda: os._exit(INTERRUPTED))
    with open_listener(settings) if inherited is None else socket.socket(fileno=inherited) as listener:
        await check_database(settings.database_url)
        app = build_app(settings)
        async with app.router.lifespan_context(app):
            server = HttpServer(app, listener, app.mcp.ring)
            serving = asyncio.create_task(server.run_until_stopped())
            stopping = asyncio.create_task(stop.wait())
            if inherited is None:
                log.info("Listening on %s", url_of(listener))
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            server.stop()
            await serving
