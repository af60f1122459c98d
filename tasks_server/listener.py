"""The listening socket: what the settings ask for, or a line that says why it cannot be had."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import sys
from typing import Any

from tasks_server.errors import ConfigurationError
from tasks_server.settings import LOOPBACK_HOSTS, Settings

OPEN_FILES = 65_536


def open_listener(settings: Settings, *, is_shared: bool = False) -> socket.socket:
    """The listening socket that the settings ask for. Raises ConfigurationError, also for an open door.

    is_shared: other sockets of this user may listen on the same port, and get their share of the connections.
    """
    if settings.host not in LOOPBACK_HOSTS and not settings.allow_unauthenticated:
        raise ConfigurationError(
            f"Refusing to listen on {settings.host}: callers are not authenticated, so anybody who reaches "
            "it could use every tool. Listen on 127.0.0.1, or set TASKS_ALLOW_UNAUTHENTICATED=true if "
            "something in front of this server decides who gets in."
        )
    _allow_many_connections()
    return listen(settings.host, settings.port, is_shared=is_shared)


def _allow_many_connections() -> None:
    """Every stream is an open file, and what systems allow at first is often only 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A listening socket; port 0 takes a free port. Raises ConfigurationError saying why it cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _bind_first([(family, address) for family, _, _, _, address in found], is_shared)
    except PermissionError:
        reason, remedy = f"you may not listen on port {port}", "Choose one above 1023"
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = f"port {port} is in use" if in_use else (error.strerror or str(error))
        remedy = (
            "Choose another with --port, or --port 0 for any free one" if in_use else "Choose another --host"
        )
    raise ConfigurationError(f"Cannot listen on {host}: {reason}. {remedy}.")


def _bind_first(addresses: list[tuple[int, Any]], is_shared: bool) -> socket.socket:
    """`localhost` may have an address of a kind that this machine does not speak: the next one then."""
    failure: OSError | None = None
    for family, address in addresses:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared and sys.platform == "linux":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
