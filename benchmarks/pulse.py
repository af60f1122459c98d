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
        self._waiting: list[tuple[int, asyncio.Event]] = []
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    @property
    def env(self) -> Mapping[str, str]:
        return {"BENCH_PULSE": str(self._path)}

    def clear(self) -> None:
        self.moments.clear()

    async def count(self, number: int) -> None:
        """Wait until so many runs have begun since `clear`."""
        if len(self.moments) < number:
            reached = asyncio.Event()
            self._waiting.append((number, reached))
            await reached.wait()

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
        for number, reached in self._waiting:
            if len(self.moments) >= number:
                reached.set()
        self._waiting = [(number, reached) for number, reached in self._waiting if not reached.is_set()]
