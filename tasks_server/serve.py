"""Serving HTTP until somebody says stop: uvicorn, with the signals and the socket in our hands."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from starlette.applications import Starlette

from tasks_server.app import build_app
from tasks_server.errors import ConfigurationError
from tasks_server.event_loop import on_stop_signals
from tasks_server.settings import LOOPBACK_HOSTS, Settings
from tasks_server.startup import check_database
from tasks_server.transport.patience import PatientProtocol

log = logging.getLogger(__name__)

# A client that does not read its stream must not keep the process from ending.
SHUTDOWN_GRACE_SECONDS = 5
OPEN_FILES = 65_536
INTERRUPTED = 128 + signal.SIGINT


class HttpServer(uvicorn.Server):
    """Serves one application on one listening socket until `stop`."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                lifespan="off",  # whoever runs the server runs the lifespan, and sees its errors as they are
                log_config=None,
                access_log=False,
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._app = app
        self._listener = listener

    async def run_until_stopped(self) -> None:
        """Accept requests; after `stop`, finish those that are under way."""
        await self.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Stop accepting. Open streams are told at once, and by this call sse-starlette hears of it too."""
        self._app.state.mcp.ring()
        self.handle_exit(signal.SIGTERM, None)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn would take the process's signals; they belong to whoever runs this server."""
        yield


async def serve(settings: Settings) -> None:
    """`tasks-server serve`: until SIGINT, SIGTERM or SIGHUP."""
    stop = asyncio.Event()
    on_stop_signals(stop.set, lambda: os._exit(INTERRUPTED))
    with open_listener(settings) as listener:
        await check_database(settings.database_url)
        app = build_app(settings)
        async with app.router.lifespan_context(app):
            server = HttpServer(app, listener)
            serving = asyncio.create_task(server.run_until_stopped())
            stopping = asyncio.create_task(stop.wait())
            log.info("Listening on %s", url_of(listener))
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            server.stop()
            await serving


def open_listener(settings: Settings) -> socket.socket:
    """The listening socket that the settings ask for. Raises ConfigurationError, also for an open door."""
    if settings.host not in LOOPBACK_HOSTS and not settings.allow_unauthenticated:
        raise ConfigurationError(
            f"Refusing to listen on {settings.host}: callers are not authenticated, so anybody who reaches "
            "it could use every tool. Listen on 127.0.0.1, or set TASKS_ALLOW_UNAUTHENTICATED=true if "
            "something in front of this server decides who gets in."
        )
    _allow_many_connections()
    return listen(settings.host, settings.port)


def _allow_many_connections() -> None:
    """Every stream is an open file, and what systems allow at first is often only 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free port. Raises ConfigurationError saying why it cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _bind_first([(family, address) for family, _, _, _, address in found])
    except PermissionError:
        reason, remedy = f"you may not listen on port {port}", "Choose one above 1023"
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = f"port {port} is in use" if in_use else (error.strerror or str(error))
        remedy = (
            "Choose another with --port, or --port 0 for any free one" if in_use else "Choose another --host"
        )
    raise ConfigurationError(f"Cannot listen on {host}: {reason}. {remedy}.")


def _bind_first(addresses: list[tuple[int, Any]]) -> socket.socket:
    """`localhost` may have an address of a kind that this machine does not speak: the next one then."""
    failure: OSError | None = None
    for family, address in addresses:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            failure = error
        else:
            return listener
    raise failure or OSError(errno.EADDRNOTAVAIL, "no such address")


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine finds the listener: `http://127.0.0.1:8000`."""
    address: tuple[str, int] = listener.getsockname()[:2]
    host, port = address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
