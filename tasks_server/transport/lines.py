"""Lines over two file descriptors: pipes of a host, whatever kind of file they are.

The descriptors stay as they are found: their open files may be shared with other processes, which would not expect
them to become non-blocking. So we read only what is there already, and write in a thread.
"""

from __future__ import annotations

import asyncio
import os
import queue
import select
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from enum import Enum

CHUNK_BYTES = 64 * 1024
UNREAD_BYTES = 1024 * 1024
"""How much may wait for a reader that is slow; whoever has more to say waits with it."""


class Line(Enum):
    """What is told about a line instead of its content."""

    TOO_LONG = "too long"


class LineReader:
    """The lines that come in. A line of more than `limit` bytes is never held, only reported."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self.limit = limit

    async def lines(self) -> AsyncGenerator[bytes | Line]:
        """Each line that is not empty, without its end, until the other side closes."""
        buffer = bytearray()
        skipping = False
        while chunk := await self._chunk():
            *ended, rest = chunk.split(b"\n")
            for end in ended:
                line = bytes(buffer) + end
                buffer.clear()
                if skipping:
                    skipping = False
                elif len(line) > self.limit:
                    yield Line.TOO_LONG
                elif line.strip():
                    yield line
            if skipping:
                continue
            buffer += rest
            if len(buffer) > self.limit:
                buffer.clear()
                skipping = True
                yield Line.TOO_LONG
        if buffer.strip():
            yield bytes(buffer)

    async def _chunk(self) -> bytes:
        while True:
            await self._readable()
            with suppress(BlockingIOError, InterruptedError):
                try:
                    return os.read(self._descriptor, CHUNK_BYTES)
                except ConnectionError:
                    return b""

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, readable.set)
        except PermissionError:  # a file on a disk, which never lets anybody wait
            await asyncio.sleep(0)
            return
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._descriptor)


class LineWriter:
    """The lines that go out, in the order in which they were sent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._unread = 0
        self._progress = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.broken = asyncio.Event()
        """Nobody reads any more; what is sent goes nowhere."""
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    async def send(self, line: bytes) -> None:
        """Write a line, waiting while the reader is behind."""
        await self.room()
        self._unread += len(line) + 1
        self._lines.put(line + b"\n")

    async def room(self) -> None:
        """Wait while there is too much that the other side has not read."""
        await self._until(UNREAD_BYTES)

    async def flush(self) -> None:
        """Wait until everything is written."""
        await self._until(0)

    async def _until(self, unread: int) -> None:
        while self._unread > unread and not self.broken.is_set():
            self._progress.clear()
            await self._progress.wait()

    def _write(self) -> None:
        writable = select.poll()
        writable.register(self._descriptor, select.POLLOUT)
        while True:
            line = memoryview(self._lines.get())
            size = len(line)
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:
                    writable.poll()
                except OSError:
                    self._tell(self._break)
                    return
            self._tell(self._written, size)

    def _tell(self, what: Callable[..., None], *arguments: int) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, *arguments)

    def _written(self, size: int) -> None:
        self._unread -= size
        self._progress.set()

    def _break(self) -> None:
        self.broken.set()
        self._progress.set()
