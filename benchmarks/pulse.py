"""Hears from the tools themselves that they run."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

BUFFER_BYTES = 8 * 1024 * 1024


class Pulse:
    """The moments when tools began to run, by the monotonic clock in nanoseconds. Needs a running loop."""

    def __init__(self, directory: Path) -> None:
        self.moments: list[int] = []
        self._path = directory / "pulse.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self._wanted = 0
        self._reached = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @property
    def env(self) -> Mapping[str, str]:
        return {"BENCH_PULSE": str(self._path)}

    def clear(self) -> None:
        self.moments.clear()

    async def count(self, number: int) -> None:
        """Wait until so many runs have begun since `clear`."""
        self._wanted = number
        self._reached.clear()
        if len(self.moments) < number:
            await self._reached.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink()

    def _read(self) -> None:
        try:
            while True:
                self.moments.append(struct.unpack("!q", self._socket.recv(64))[0])
        except BlockingIOError:
            pass
        if len(self.moments) >= self._wanted:
            self._reached.set()
